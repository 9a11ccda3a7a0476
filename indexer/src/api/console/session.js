// Who has logged in. The key or token is kept for this tab only, and goes out in a header only.

const KEY = "stxworx.key";
const ROLES = ["reader", "operator", "admin"];

let role = null;

export const secret = () => sessionStorage.getItem(KEY);

export const remember = (text) => sessionStorage.setItem(KEY, text);

export const forget = () => {
  role = null;
  sessionStorage.removeItem(KEY);
};

/** The role that was found; null before. */
export const knownRole = () => role;

/** May who has logged in do what takes this role? */
export const may = (wanted) => ROLES.indexOf(role) >= ROLES.indexOf(wanted);

/** Asks who the service takes the key for; gives the name. */
export const findOut = async (ask) => {
  const { data } = await ask("/v1/whoami");
  role = data.role;
  return data.name;
};
