// Says what the user has seen, until the server has taken it. Over HTTP, since on the socket a read has no answer, and nobody would notice
// that one was lost: a read that follows an ack is not asked for again.

const DELAY_MS = 250;
const RETRY_MS = 5_000;
const REFS = 100;

export class Reads {
  #account;
  #taken;
  #waiting = new Map();
  #timer = null;

  /** `taken` is called with the keys of the messages that the server knows to be read. */
  constructor(account, taken) {
    this.#account = account;
    this.#taken = taken;
  }

  add(key, ref) {
    this.#waiting.set(key, ref);
    this.#schedule(DELAY_MS);
  }

  stop() {
    this.#waiting.clear();
    clearTimeout(this.#timer);
  }

  #schedule(delay) {
    this.#timer ??= setTimeout(() => this.#say(), delay);
  }

  async #say() {
    const said = [...this.#waiting].slice(0, REFS);
    let taken = false;
    try {
      const body = {device: this.#account.device, refs: said.map(([, ref]) => ref)};
      const {status} = await this.#account.request('POST', '/v1/reads', body);
      // What the server finds wrong with it will be wrong the next time.
      taken = status < 500 && status !== 429;
    } catch {
      // No answer; it is said again.
    }
    this.#timer = null;
    if (taken) {
      // Once more if it came again under another ref meanwhile.
      for (const [key, ref] of said) if (this.#waiting.get(key) === ref) this.#waiting.delete(key);
      await this.#taken(said.map(([key]) => key));
    }
    if (this.#waiting.size > 0) this.#schedule(taken ? DELAY_MS : RETRY_MS * (0.5 + Math.random()));
  }
}
