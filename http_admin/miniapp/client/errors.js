/** Why an action failed for good: a final ERROR of the server, or the client's own reason (`code` 0). */
export class GameError extends Error {
  /** @param {number} code error code of the wire, 0 when the client itself refused @param {string} name @param {string} message */
  constructor(code, name, message) {
    super(message);
    this.code = code;
    this.name = name;
  }
}

/** Thrown by a `credentials` callback when only a new login by the player helps; anything else it throws is tried again. */
export class LoginRequired extends Error {
  name = "LoginRequired";
}
