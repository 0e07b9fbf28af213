// The connection of one device, kept up, with what a client owes the protocol (docs/PROTOCOL.md): it reconnects with full jitter, sends
// again what was not answered, acks in batches, syncs, and stops when it is displaced. It keeps nothing beyond the page, and shows nothing.

const BACKOFF_MS = {base: 1_000, cap: 30_000};
const OPEN_WITHIN_MS = 15_000;
const ANSWER_WITHIN_MS = 10_000;
const DRAINED_WITHIN_MS = 10_000;
const HEARTBEAT_MS = {from: 5 * 60_000, to: 9 * 60_000};
/** How long before the server cuts the connection it is replaced. */
const BEFORE_CUT_MS = {from: 60_000, to: 5 * 60_000};
const ACK = {delay: 250, refs: 50};
const SEND = {messages: 25, bytes: 30_000};

export class Connection {
  #account;
  #on;
  #socket = null;
  #closed = false;
  #failures = 0;
  #timers = new Set();
  #endWait = () => {};
  /** By id, until the server has answered: `{message, asked}`, where `asked` is the nonce of the frame that it travels in, if any. */
  #outbox = new Map();
  #nonces = 0;
  #acks = new Set();
  #ackTimer = null;
  /** What is received is handed over one frame after the other. */
  #received = Promise.resolve();

  /**
   * `on` is told `state(state)`: connecting, connected, drained, waiting, displaced; `messages(messages)`, which returns when they may be
   * acked; `accepted(ids)`; `refused(id, code)`.
   */
  constructor(account, on) {
    this.#account = account;
    this.#on = on;
  }

  /** Connects, again and again, until it is closed or displaced. */
  async run() {
    while (!this.#closed) {
      this.#on.state('connecting');
      const ended = await this.#once();
      if (this.#closed) return;
      if (ended === 'displaced') return this.#on.state('displaced');
      if (ended === 'replaced') continue;
      this.#on.state('waiting');
      await this.#wait();
    }
  }

  /** Tries at once if it is waiting to try again. */
  hurry() {
    this.#endWait();
  }

  /** Sends a message, and again until it is answered. */
  send(message) {
    // More would be no frame, and cost the connection.
    if (bytes(message) > SEND.bytes) return this.#on.refused(message.id, 'too_large');
    this.#outbox.set(message.id, {message, asked: null});
    this.#flush();
  }

  /** Sends an ephemeral message, if there is a connection. */
  sendOnce(message) {
    this.#say({action: 'send', messages: [message]});
  }

  /** Acks soon. A lost ack does no harm: the message comes again. */
  ack(ref) {
    this.#acks.add(ref);
    if (this.#acks.size >= ACK.refs) this.#sayAcks();
    else this.#ackTimer ??= setTimeout(() => this.#sayAcks(), ACK.delay);
  }

  /** Leaves out an ack that was not said yet, because more is said instead. */
  withdrawAck(ref) {
    this.#acks.delete(ref);
  }

  close() {
    this.#closed = true;
    this.#sayAcks();
    if (this.#socket) {
      this.#socket.onmessage = null;
      this.#socket.close(1000);
    }
    this.#endWait();
  }

  /** One socket, until it ends, and how: lost, replaced, or displaced. */
  async #once() {
    let url;
    try {
      url = await this.#account.socketUrl();
    } catch {
      return 'lost';
    }
    if (this.#closed) return 'lost';
    const socket = new WebSocket(url);
    this.#socket = socket;
    let end;
    const ended = new Promise((resolve) => (end = resolve));
    const link = {socket, end: (how) => (end(how), socket.close()), drained: null, synced: null};
    const opening = this.#after(OPEN_WITHIN_MS, () => link.end('lost'));
    socket.onopen = () => {
      this.#cancel(opening);
      this.#on.state('connected');
      link.drained = this.#after(DRAINED_WITHIN_MS, () => this.#sync(link));
      this.#beat(link);
      this.#flush();
    };
    socket.onmessage = ({data}) => this.#take(link, data);
    socket.onclose = () => {
      // A browser does not say why a handshake failed; it may have been the token.
      if (this.#timers.has(opening)) this.#account.forgetToken();
      end('lost');
    };
    const how = await ended;
    socket.onopen = socket.onmessage = socket.onclose = null;
    this.#socket = null;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const entry of this.#outbox.values()) entry.asked = null;
    return how;
  }

  async #wait() {
    const ceiling = Math.min(BACKOFF_MS.base * 2 ** this.#failures, BACKOFF_MS.cap);
    this.#failures += 1;
    await new Promise((resolve) => {
      this.#endWait = resolve;
      setTimeout(resolve, Math.random() * ceiling);
    });
  }

  #take(link, data) {
    const frame = parsed(data);
    switch (frame?.type) {
      case 'accepted':
        return this.#answered(frame);
      case 'messages':
        return this.#takeMessages(link, frame);
      case 'drained':
        this.#cancel(link.drained);
        this.#replaceBefore(link, frame.reconnect_by);
        return this.#upToDate(link);
      case 'error':
        if (frame.code === 'displaced') return link.end('displaced');
        return this.#failed(frame);
      default:
        // A frame of API Gateway's own, or of a later version.
    }
  }

  #takeMessages(link, {messages, more, nonce}) {
    const isPage = nonce !== undefined && nonce === link.synced?.nonce;
    if (isPage) this.#cancel(link.synced.timer);
    this.#received = this.#received.then(async () => {
      await this.#on.messages(messages);
      if (!isPage || this.#socket !== link.socket) return;
      if (more && messages.length > 0) this.#sync(link, messages.at(-1).ref);
      else this.#upToDate(link);
    }).catch((error) => console.error('a frame could not be taken; its messages will come again', error));
  }

  #upToDate(link) {
    this.#failures = 0;
    // After what came before it has been taken.
    this.#received = this.#received.then(() => this.#socket === link.socket && this.#on.state('drained'));
  }

  /** Asks for a page of the inbox. It is the heartbeat as well: a connection that does not answer is none. */
  #sync(link, after) {
    const nonce = this.#nonce();
    link.synced = {nonce, timer: this.#after(ANSWER_WITHIN_MS, () => link.end('lost'))};
    this.#say({action: 'sync', nonce, after});
  }

  #beat(link) {
    this.#after(between(HEARTBEAT_MS), () => {
      this.#sync(link);
      this.#beat(link);
    });
  }

  #replaceBefore(link, cutAt) {
    // A wrong clock here must not make it reconnect all the time.
    const left = Math.max(cutAt - Date.now() - between(BEFORE_CUT_MS), BEFORE_CUT_MS.to);
    this.#after(left, () => link.end('replaced'));
  }

  /** Sends what is in no frame yet, as few frames as will do. */
  #flush() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    let frame = [];
    let size = 0;
    const close = () => {
      if (frame.length === 0) return;
      const nonce = this.#nonce();
      for (const entry of frame) entry.asked = nonce;
      this.#say({action: 'send', nonce, messages: frame.map((entry) => entry.message)});
      this.#after(ANSWER_WITHIN_MS, () => this.#askAgain(nonce));
      [frame, size] = [[], 0];
    };
    for (const entry of this.#outbox.values()) {
      if (entry.asked !== null) continue;
      const more = bytes(entry.message) + 1;
      if (frame.length === SEND.messages || size + more > SEND.bytes) close();
      frame.push(entry);
      size += more;
    }
    close();
  }

  /** What a frame took along and nothing answered goes into another one. */
  #askAgain(nonce) {
    const open = [...this.#outbox.values()].filter((entry) => entry.asked === nonce);
    for (const entry of open) entry.asked = null;
    if (open.length > 0) this.#flush();
  }

  #answered({ids, refused}) {
    const known = ids.filter((id) => this.#outbox.delete(id));
    if (known.length > 0) this.#on.accepted(known);
    for (const {id, code} of refused) if (this.#outbox.has(id)) this.#refuse(id, code);
  }

  /** An error that answers a whole frame is that of each message in it. */
  #failed({nonce, code}) {
    for (const [id, entry] of [...this.#outbox]) if (nonce && entry.asked === nonce) this.#refuse(id, code);
  }

  #refuse(id, code) {
    // One that could not be taken now stays, and goes again when its frame's time for an answer is over.
    if (code === 'unavailable') return;
    this.#outbox.delete(id);
    this.#on.refused(id, code);
  }

  #sayAcks() {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = null;
    const refs = [...this.#acks];
    this.#acks.clear();
    if (refs.length > 0) this.#say({action: 'ack', refs});
  }

  #say(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #nonce() {
    this.#nonces += 1;
    return String(this.#nonces);
  }

  /** Like `setTimeout`, until the end of this socket. */
  #after(delay, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delay);
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer) {
    clearTimeout(timer);
    this.#timers.delete(timer);
  }
}

function between({from, to}) {
  return from + Math.random() * (to - from);
}

function bytes(message) {
  return new TextEncoder().encode(JSON.stringify(message)).length;
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
