/** The name of the last dev login. A browser that keeps storage from this page only means that the name is asked for again. */

const KEY = "ppj.name";

/** @returns {string | null} */
export function recallName() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** @param {string | null} name null forgets it */
export function rememberName(name) {
  try {
    if (name === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, name);
  } catch {
    // Not kept: see above.
  }
}
