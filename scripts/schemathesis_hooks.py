"""Valid values that no schema can describe.

A request that is to be accepted gets a principal whose checksum is right, the id of a contract of the name that its
route is about, and no cursor: those are opaque, and each belongs to a walk of its own. Requests that are to be refused
stay as they were made.
"""

import schemathesis
from schemathesis import GenerationMode

USER = "ST394RB768S5VJ9TX9VP73ZM6C4MMC1F85N54FS3A"
DEPLOYER = "ST44QCPTNCPP9BCD9Q55HDDAJJS7K1Z8C4SYHC7K"
PRINCIPALS = {"client", "freelancer", "arbiter", "owner", "treasury", "principal"}
CONTRACTS = {
    "/v1/badges": "freelance-badges",
    "/v1/governance": "freelance-security",
    "/v1/profiles": "freelance-data",
    "/v1/treasury": "freelance-security",
    "/v1/settings": "freelance-logic",
    "/v1/assets": "freelance-logic",
    "/v1/projects": "freelance-logic",
}


@schemathesis.hook
def before_call(context, case, kwargs):
    meta = getattr(case, "meta", None)
    if meta is None or meta.generation.mode != GenerationMode.POSITIVE:
        return
    for values in (case.query, case.path_parameters):
        if not values:
            continue
        values.pop("cursor", None)
        for name in PRINCIPALS & values.keys():
            values[name] = USER
        for prefix, contract in CONTRACTS.items():
            if case.path.startswith(prefix) and "contract" in values:
                values["contract"] = f"{DEPLOYER}.{contract}"
