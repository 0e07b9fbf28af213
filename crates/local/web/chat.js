// The chat page: who is chatting with whom, what comes of a message, and which part does what about it. The fragment of the address says
// both, as in `#as=alice&user=bob` or `#as=alice&group=crew`, so that a reload and a notification lead to the same place.

import {Account} from './account.js';
import {Connection} from './connection.js';
import {History, conversationOf, keyOf, nameOf} from './history.js';
import {messageId} from './message_id.js';
import {Notifications, Unavailable, serviceWorker} from './push.js';
import {Reads} from './reads.js';
import {View} from './view.js';

const SYSTEM = '~system';
const USER = /^[A-Za-z0-9._:@+=|-]{1,128}$/;
const TYPING_SAID_EVERY_MS = 3_000;
const TYPING_SHOWN_MS = 10_000;

/** One user's chat, until it is closed. */
class Chat {
  #account;
  #history;
  #notifications;
  #connection;
  #reads;
  #view;
  #to = null;
  #typing = new Map();
  #saidTyping = 0;
  #closed = false;

  constructor(account, history, notifications, view) {
    this.user = account.user;
    this.#account = account;
    this.#history = history;
    this.#notifications = notifications;
    this.#view = view;
    this.#reads = new Reads(account, (keys) => this.#change(keys, (message) => ({...message, told: true})));
    this.#connection = new Connection(account, {
      state: (state) => view.state(state),
      messages: (messages) => this.#receive(messages),
      accepted: (ids) => this.#change(ids.map((id) => this.#own(id)), (message) => ({...message, state: 'accepted'})),
      refused: (id, code) => this.#change([this.#own(id)], (message) => ({...message, state: 'refused', code})),
    });
  }

  /** Takes up what was left to do when the page was closed, and connects. */
  start() {
    this.#view.chat(this.user);
    this.#list();
    for (const message of this.#history.inOrder()) {
      if (message.state === 'sending') this.#connection.send(outgoing(message));
      if (message.seen && !message.told) this.#reads.add(message.key, message.ref);
    }
    this.#connection.run();
    this.#view.notifications(this.#notifications.isOn);
    if (this.#notifications.isOn) this.notify(true);
  }

  close() {
    this.#closed = true;
    this.#connection.close();
    this.#reads.stop();
    this.#history.close();
    for (const timer of this.#typing.values()) clearTimeout(timer);
  }

  hurry() {
    this.#connection.hurry();
  }

  /** Shows a conversation, `{user}` or `{group}`; null for none. */
  open(to) {
    this.#to = to;
    this.#saidTyping = 0;
    if (to === null) {
      this.#view.noConversation();
    } else {
      this.#view.conversation(to, this.#history.inOrder(this.#opened), this.user);
      this.#notifications.dismiss(new URLSearchParams({as: this.user, ...to}).toString());
    }
    this.#showTyping();
    this.#list();
  }

  /** Sends a text to the open conversation; throws if it could not be kept, and then it is not sent. */
  async send(text) {
    const [id, to, from] = [messageId(), this.#to, this.user];
    const conversation = conversationOf({from, to}, from);
    const message = {
      key: keyOf({id, from}), id, from, to, conversation, kind: 'message', body: text, state: 'sending', delivered: [], read: [],
    };
    this.#saidTyping = 0;
    // Kept before it is sent, so that a page that is closed in between sends it when it is opened.
    await this.#edit([[message.key, () => message]]);
    this.#connection.send(outgoing(message));
  }

  /** The user is writing in the open conversation. */
  type() {
    if (Date.now() - this.#saidTyping < TYPING_SAID_EVERY_MS) return;
    this.#saidTyping = Date.now();
    this.#connection.sendOnce({id: messageId(), to: this.#to, ephemeral: true, body: {typing: true}});
  }

  /** The user has a message before his eyes. */
  async see(key) {
    const message = this.#history.messages.get(key);
    if (!message || message.from === this.user || message.kind !== 'message' || message.seen) return;
    // A read acks as well.
    this.#connection.withdrawAck(message.ref);
    await this.#change([key], (before) => (before.seen ? before : {...before, seen: true, told: false}));
    this.#reads.add(key, this.#history.messages.get(key).ref);
  }

  /** Makes a group, if it is to be made. */
  async makeGroup(group, users) {
    const path = `/v1/groups/${encodeURIComponent(group)}`;
    const response = await this.#account.request('PUT', path, {name: group, users}).catch(() => null);
    if (response?.ok) return this.#view.notice('');
    const why = response ? (await response.json().catch(() => null))?.detail ?? response.status : 'the server cannot be reached';
    this.#view.notice(`The group was not made: ${why}.`);
  }

  async notify(on) {
    try {
      await (on ? this.#notifications.turnOn() : this.#notifications.turnOff());
      this.#view.notice(on ? '' : 'Notifications are off.');
    } catch (error) {
      if (error instanceof Unavailable) this.#view.notice(error.message);
      else this.#view.failed(error);
    }
    this.#view.notifications(this.#notifications.isOn);
  }

  get #opened() {
    return this.#to && nameOf(this.#to);
  }

  #own(id) {
    return keyOf({id, from: this.user});
  }

  /** Takes what the server has posted. What it returns from is kept, and only then acked. */
  async #receive(deliveries) {
    const edits = [];
    for (const delivery of deliveries) {
      if (delivery.kind === 'receipt') edits.push(...this.#receipt(delivery.body));
      else if (isTyping(delivery)) this.#hearTyping(delivery);
      else if (delivery.kind === 'message' || delivery.kind === 'system') edits.push(this.#arrival(delivery));
    }
    await this.#edit(edits);
    for (const delivery of deliveries) this.#ack(delivery);
  }

  #arrival({ref, id, from, to, kind, body}) {
    const key = keyOf({id, from});
    const conversation = conversationOf({from, to}, this.user);
    this.#stopTyping(conversation, from);
    return [key, (before) => {
      if (before?.ref === ref) return before;
      return before ? {...before, ref} : {key, id, from, to, conversation, kind, body, ref};
    }];
  }

  #receipt({event, by, messages}) {
    const edit = (from) => (before) => {
      if (!before) return undefined;
      if (from !== this.user) return event === 'read' ? {...before, seen: true, told: true} : before;
      const told = new Set(before[event]).add(by);
      return told.size === before[event]?.length ? before : {...before, state: 'accepted', [event]: [...told]};
    };
    return messages.map(({id, from}) => [keyOf({id, from}), edit(from)]);
  }

  #ack({ref, id, from, kind, body}) {
    // What one's own devices are told of an ack is kept nowhere.
    if (kind === 'receipt' && body.event === 'delivered' && body.by === this.user) return;
    const message = this.#history.messages.get(keyOf({id, from}));
    if (message?.seen && !message.told) this.#reads.add(message.key, ref);
    else this.#connection.ack(ref);
  }

  /** Changes those of the messages that are here. */
  #change(keys, edit) {
    return this.#edit(keys.map((key) => [key, (before) => before && edit(before)]));
  }

  /** Changes what is kept, and then what is shown. */
  async #edit(edits) {
    let changed;
    try {
      changed = await this.#history.change(edits);
    } catch (error) {
      if (!this.#closed) this.#view.notice(`This browser could not keep a message: ${error.message}. Make room, and reload the page.`);
      throw error;
    }
    if (changed.length === 0) return;
    for (const message of changed) if (message.conversation === this.#opened) this.#view.put(message, this.user);
    this.#list();
  }

  #list() {
    const conversations = new Map();
    let unread = 0;
    for (const message of this.#history.messages.values()) {
      const name = message.conversation;
      const entry = conversations.get(name) ?? {name, to: Object.fromEntries(new URLSearchParams(name)), last: message, unread: 0};
      if (message.key > entry.last.key) entry.last = message;
      if (message.kind === 'message' && message.from !== this.user && !message.seen) {
        entry.unread += 1;
        unread += 1;
      }
      conversations.set(name, entry);
    }
    const sorted = [...conversations.values()].sort((one, other) => (one.last.key > other.last.key ? -1 : 1));
    this.#view.conversations(sorted, this.#opened, this.user);
    this.#view.unread(unread);
  }

  #hearTyping(delivery) {
    const {from} = delivery;
    const conversation = conversationOf(delivery, this.user);
    this.#stopTyping(conversation, from);
    const timer = setTimeout(() => {
      this.#stopTyping(conversation, from);
      this.#showTyping();
    }, TYPING_SHOWN_MS);
    this.#typing.set(`${conversation} ${from}`, timer);
    this.#showTyping();
  }

  #stopTyping(conversation, from) {
    clearTimeout(this.#typing.get(`${conversation} ${from}`));
    if (this.#typing.delete(`${conversation} ${from}`)) this.#showTyping();
  }

  #showTyping() {
    const here = [...this.#typing.keys()].map((key) => key.split(' ')).filter(([conversation]) => conversation === this.#opened);
    this.#view.typing(here.map(([, from]) => from));
  }
}

/** A message as it is sent. */
function outgoing({id, to, body}) {
  return {id, to, body, receipts: true};
}

function isTyping({kind, from, body}) {
  return kind === 'message' && from !== SYSTEM && body?.typing === true;
}

let chat = null;
/** Addresses are followed one after the other. */
let following = Promise.resolve();

const registration = serviceWorker();
const view = new View({
  signIn: (user) => go({as: user}),
  signOut: () => go({}),
  open: (to) => go({as: chat.user, ...to}),
  back: () => go({as: chat.user}),
  makeGroup: (group, users) => chat.makeGroup(group, users),
  send: (text) => chat.send(text),
  type: () => chat.type(),
  see: (key) => chat?.see(key),
  notify: (on) => chat.notify(on),
  reload: () => location.reload(),
});

function go(to) {
  location.hash = new URLSearchParams(to).toString();
}

async function follow() {
  const address = new URLSearchParams(location.hash.slice(1));
  const as = address.get('as');
  const [user, group] = [address.get('user'), address.get('group')];
  if (chat && chat.user !== as) {
    chat.close();
    chat = null;
  }
  if (!USER.test(as ?? '')) return view.signIn();
  if (!chat) {
    const account = new Account(as);
    chat = new Chat(account, await History.open(as), new Notifications(account, await registration), view);
    chat.start();
  }
  const to = USER.test(group ?? '') ? {group} : USER.test(user ?? '') ? {user} : null;
  chat.open(to);
}

function followed() {
  following = following.then(follow).catch((error) => view.failed(error));
}

addEventListener('hashchange', followed);
addEventListener('online', () => chat?.hurry());
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && chat?.hurry());
navigator.serviceWorker?.addEventListener('message', ({data}) => (location.hash = data.open));
followed();
