// What a backend does with the API, by its generated types alone. `make api-client` checks it with `tsc --strict`.
import type { components, operations, paths } from "./api";

type Answer<P extends keyof paths> = paths[P] extends {
  get: { responses: { 200: { content: { "application/json": infer A } } } };
}
  ? A
  : never;
type Query<P extends keyof paths> = paths[P] extends { get: { parameters: { query?: infer Q } } } ? Q : never;
export type Problem = components["schemas"]["Problem"];

export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

/** Asks a route; the types of the query and of the answer follow from the path. */
export async function get<P extends keyof paths>(
  base: string,
  path: P,
  query: Query<P>,
  parts: Record<string, string | number> = {},
): Promise<Answer<P>> {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(parts[name])));
  const url = new URL(filled, base);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null) url.searchParams.set(name, String(value));
  }
  const response = await fetch(url);
  if (!response.ok) throw new ApiError((await response.json()) as Problem);
  return (await response.json()) as Answer<P>;
}

/** Every open project of a client, whose walk begins anew when the chain forks under it. */
export async function openProjects(base: string, client: string): Promise<bigint> {
  for (;;) {
    try {
      let locked = 0n;
      let cursor: string | undefined;
      do {
        const page = await get(base, "/v1/projects", {
          client,
          status: "open",
          sort: "opened",
          min_finality: "burn_1",
          ...(cursor === undefined ? {} : { cursor }),
        });
        for (const project of page.data) locked += BigInt(project.total);
        cursor = page.next_cursor ?? undefined;
      } while (cursor !== undefined);
      return locked;
    } catch (error) {
      if (error instanceof ApiError && error.problem.code === "fork_changed") continue;
      throw error;
    }
  }
}

/** The pages of the platform: each is one or two questions. */
export async function pages(base: string, user: string) {
  const [leaders, own] = await Promise.all([
    get(base, "/v1/leaderboards/{board}", { asset: "stx", window: "30d" }, { board: "earnings" }),
    get(base, "/v1/leaderboards/{board}/proof", { principal: user, asset: "stx" }, { board: "earnings" }),
  ]);
  const first: { rank: number; score: string } | undefined = leaders.data[0];
  const agrees: boolean | null | undefined = leaders.board?.agrees;
  const path: readonly { side: string; hash: string }[] = own.data.path;

  const gallery = await get(base, "/v1/badges/{principal}/eligibility", {}, { principal: user });
  const lacking = gallery.data.kinds
    .filter((kind) => kind.standing === "missing")
    .map((kind) => [kind.name, kind.requirements.filter((one) => !one.met).map((one) => one.missing)] as const);

  const desk = await get(base, "/v1/disputes", { status: "open" });
  const urgent = desk.data.filter((dispute) => (dispute.deadline?.blocks_left ?? 0) < 144).map((d) => d.project);

  const fees = await get(base, "/v1/stats/{series}", { asset: "stx" }, { series: "fees" });
  const sum = fees.data.figures.reduce((total, figure) => total + BigInt(figure.value), 0n);
  return { first, agrees, path, lacking, urgent, sum, at: desk.as_of?.height };
}

// What is no status, is none: the line below must not pass the check.
// @ts-expect-error
export const wrong: NonNullable<operations["projects"]["parameters"]["query"]>["status"] = "done";
