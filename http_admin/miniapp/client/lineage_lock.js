/**
 * Makes sure that no two live tabs use one lineage.
 *
 * A browser copies sessionStorage when a tab is duplicated, so both tabs would number different operations alike and the server would
 * take one's for repeats of the other's. Each tab therefore holds a Web Lock named after its lineage for as long as it lives. A tab that
 * finds it held is the copy: the operations in its storage belong to the other tab, which delivers them, and it draws a new lineage.
 *
 * Where Web Locks do not exist (pages that are neither https nor localhost) the server's 4510 is the net: see GameClient.
 */

/** A reloading page releases its lock a moment after the new one starts; a duplicate waits this long before it believes it is one. */
export const LOCK_PATIENCE_MS = 1_500;

/**
 * @param {LockManager | undefined} locks `navigator.locks`
 * @param {string} lineage
 * @returns {Promise<null | (() => void)>} a function that gives the lock back; null if another tab holds it
 */
export async function holdLineage(locks, lineage) {
  if (locks === undefined) return () => {};
  return new Promise((resolve) => {
    const hold = () => new Promise((release) => resolve(release));
    // Where locks cannot be had at all (a sandboxed frame) the page goes on without one; a timeout means that it is taken.
    const refused = (error) => resolve(error?.name === "AbortError" || error?.name === "TimeoutError" ? null : () => {});
    locks.request(`ppj:${lineage}`, { signal: AbortSignal.timeout(LOCK_PATIENCE_MS) }, hold).catch(refused);
  });
}
