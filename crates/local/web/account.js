// Who this page is to the server: a user, the name of this device, and a token that is good. It asks the local cloud for tokens, which
// gives them for anybody; in an app of your own, this is the file that changes.

/** A token is replaced when it has less than this to live. */
const RENEWED_BEFORE_MS = 5 * 60_000;

export class Account {
  #minted = null;

  constructor(user) {
    this.user = user;
    this.device = deviceOf(user);
  }

  /** A token that lives for some minutes yet. */
  async token() {
    if (!this.#minted || this.#minted.expires_at - Date.now() < RENEWED_BEFORE_MS) this.#minted = await mint(this.user);
    return this.#minted.token;
  }

  /** Makes the next use ask for another one: the server may have a new key. */
  forgetToken() {
    this.#minted = null;
  }

  /** A request to the HTTP API; throws when no answer came. */
  async request(method, path, body) {
    const ask = async () => fetch(path, {
      method,
      headers: {authorization: `Bearer ${await this.token()}`, 'content-type': 'application/json'},
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const response = await ask();
    if (response.status !== 401) return response;
    this.forgetToken();
    return ask();
  }

  /** The URL of this device's socket. Browsers cannot set its headers, so the token is in the query. */
  async socketUrl() {
    const query = new URLSearchParams({device: this.device, access_token: await this.token()});
    return `${location.origin.replace(/^http/, 'ws')}/local?${query}`;
  }
}

/** Kept for good: under a new name the device would be another one, with an inbox of its own. */
function deviceOf(user) {
  const key = `device of ${user}`;
  let device = localStorage.getItem(key);
  if (!device) {
    const random = crypto.getRandomValues(new Uint8Array(16));
    device = `page-${Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
    localStorage.setItem(key, device);
  }
  return device;
}

async function mint(user) {
  const response = await fetch('/_local/tokens', {method: 'POST', body: JSON.stringify({user})});
  if (!response.ok) throw new Error(`no token for ${user}: ${await response.text()}`);
  return response.json();
}
