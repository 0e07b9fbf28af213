// What this device has of its user's messages, in IndexedDB. It knows no server and shows nothing; whoever acks a message waits until it is
// kept here.

/** The name of the conversation that a message is in, for its reader: `user=alice` or `group=crew`. */
export function conversationOf({from, to}, me) {
  return nameOf(to.group === undefined && from !== me ? {user: from} : to);
}

/** The name of a conversation, by whom it is with: `{user}` or `{group}`. */
export function nameOf(to) {
  return new URLSearchParams(to).toString();
}

/** What tells a message from all others: ids are their senders' own. */
export function keyOf({from, id}) {
  return `${id} ${from}`;
}

export class History {
  #database;
  #last = Promise.resolve();

  /** Every message that is kept, by its key. */
  messages = new Map();

  constructor(database) {
    this.#database = database;
  }

  /** Opens what is kept for a user, and reads all of it. */
  static async open(user) {
    const opening = indexedDB.open(`vartalap ${user}`, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('messages', {keyPath: 'key'});
    const history = new History(await answered(opening));
    const all = history.#database.transaction('messages').objectStore('messages').getAll();
    for (const message of await answered(all)) history.messages.set(message.key, message);
    return history;
  }

  /**
   * Changes messages, one edit after the other: `[key, edit]`, where `edit` is given what is kept under the key, if anything, and returns
   * what is to be kept, or the same to leave it. Returns what has changed. Then it is on disk; if it throws, nothing has changed.
   */
  change(edits) {
    const changed = this.#last.then(() => this.#write(edits));
    this.#last = changed.catch(() => {});
    return changed;
  }

  async #write(edits) {
    const changed = new Map();
    for (const [key, edit] of edits) {
      const before = changed.get(key) ?? this.messages.get(key);
      const after = edit(before);
      if (after !== undefined && after !== before) changed.set(key, after);
    }
    if (changed.size === 0) return [];
    const transaction = this.#database.transaction('messages', 'readwrite', {durability: 'strict'});
    for (const message of changed.values()) transaction.objectStore('messages').put(message);
    await new Promise((done, failed) => {
      transaction.oncomplete = done;
      transaction.onabort = () => failed(transaction.error ?? new Error('the browser gave it up'));
    });
    for (const [key, message] of changed) this.messages.set(key, message);
    return [...changed.values()];
  }

  /** All of them, or those of one conversation, in order: ids are made of the time. */
  inOrder(conversation) {
    const messages = [...this.messages.values()].filter((message) => !conversation || message.conversation === conversation);
    return messages.sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  close() {
    this.#database.close();
  }
}

function answered(request) {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}
