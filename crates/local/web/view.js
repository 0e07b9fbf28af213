// What is on the screen. It is told what to show and tells what the user does; it decides nothing. Whatever users have written goes into the
// page as text and never as markup.

import {madeAt} from './message_id.js';

const STATES = {
  connecting: 'Connecting…',
  connected: 'Fetching messages…',
  drained: 'Connected',
  waiting: 'No connection; trying again',
  displaced: 'Open in another window',
};

/** What has become of a message of one's own. */
const FATES = {sending: 'Sending', accepted: 'Sent', delivered: 'Delivered', read: 'Read', refused: 'Refused'};

const GROUP_NEWS = {
  created: 'made the group with', added: 'added', removed: 'removed', left: 'left', promoted: 'made admin:', demoted: 'made member:',
};

/** Nearer to the end than this, new messages are scrolled to. */
const NEAR_END_PX = 80;

const $ = (id) => document.getElementById(id);

export class View {
  #actions;
  /** What was written and not sent, by conversation. */
  #drafts = new Map();
  #shown = null;
  /** What is in the log, by key. */
  #items = new Map();
  /** Tells of messages of others that come into sight. */
  #sight;

  constructor(actions) {
    this.#actions = actions;
    this.#sight = new IntersectionObserver((entries) => {
      if (document.visibilityState !== 'visible') return;
      for (const {isIntersecting, target} of entries) if (isIntersecting) actions.see(target.dataset.key);
    }, {root: $('log'), rootMargin: '0px 0px -24px'});
    // What was in sight of nobody is looked at again.
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState !== 'visible') return;
      for (const item of $('messages').querySelectorAll('[data-unseen]')) {
        this.#sight.unobserve(item);
        this.#sight.observe(item);
      }
    });
    this.#listen();
  }

  signIn() {
    $('chat').hidden = true;
    $('sign-in').hidden = false;
    $('user').focus();
    this.#forget();
    document.title = 'Vartalap';
  }

  chat(user) {
    $('sign-in').hidden = true;
    $('chat').hidden = false;
    $('me').textContent = user;
    this.#forget();
    this.notice('');
  }

  /** How the connection is. */
  state(state) {
    $('state').dataset.state = state;
    $('state').textContent = STATES[state];
    $('take-over').hidden = state !== 'displaced';
  }

  /** Tells the user something; nothing takes it away. */
  notice(text) {
    $('notice-text').textContent = text;
    $('notice').hidden = text === '';
  }

  failed(error) {
    console.error(error);
    this.notice(`Something went wrong: ${error?.message ?? error}`);
  }

  notifications(on) {
    $('notifications').setAttribute('aria-pressed', String(on));
  }

  /** How many messages nobody has seen. */
  unread(count) {
    document.title = count > 0 ? `(${count}) Vartalap` : 'Vartalap';
    const badge = count > 0 ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.();
    badge?.catch(() => {});
  }

  conversations(list, opened, me) {
    const items = list.map(({name, to, last, unread}) => {
      const link = element('a', {href: `#${new URLSearchParams({as: me, ...to})}`});
      if (name === opened) link.setAttribute('aria-current', 'true');
      link.append(
        element('span', {className: 'name', textContent: titleOf(to)}),
        element('time', {textContent: timeOf(last.id)}),
        element('span', {className: 'last', textContent: last.kind === 'system' ? newsOf(last.body) : textOf(last.body)}),
      );
      if (unread > 0) {
        const count = element('span', {className: 'unread', textContent: unread});
        count.setAttribute('aria-label', `${unread} unread`);
        link.append(count);
      }
      const item = element('li', {});
      item.append(link);
      return item;
    });
    $('conversations').replaceChildren(...items);
  }

  noConversation() {
    this.#leave();
    $('chat').dataset.pane = 'list';
    $('conversation').hidden = true;
    $('nothing-open').hidden = false;
  }

  conversation(to, messages, me) {
    this.#leave();
    this.#shown = titleOf(to);
    $('chat').dataset.pane = 'conversation';
    $('conversation').hidden = false;
    $('nothing-open').hidden = true;
    $('title').textContent = this.#shown;
    // A screen reader is not to read all of it out.
    $('log').setAttribute('aria-busy', 'true');
    for (const message of messages) this.#insert(message, me, null);
    $('log').setAttribute('aria-busy', 'false');
    const unseen = $('messages').querySelector('[data-unseen]');
    if (unseen) unseen.scrollIntoView({block: 'center'});
    else this.#toEnd();
    $('text').value = this.#drafts.get(this.#shown) ?? '';
    // On a phone it would bring up the keyboard.
    if (matchMedia('(pointer: fine)').matches) $('text').focus();
  }

  /** Shows a message of the open conversation in its place, or what has become of it. */
  put(message, me) {
    const item = this.#items.get(message.key);
    if (item) return this.#update(item, message, me);
    const log = $('log');
    const wasAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX;
    let next = null;
    for (let last = $('messages').lastElementChild; last && last.dataset.key > message.key; last = last.previousElementSibling) next = last;
    this.#insert(message, me, next);
    if (wasAtEnd || message.from === me) this.#toEnd();
  }

  typing(users) {
    const verb = users.length > 1 ? 'are' : 'is';
    $('typing').textContent = users.length > 0 ? `${users.join(', ')} ${verb} typing…` : '';
  }

  /** Leaves the open conversation, if there is one. */
  #leave() {
    if (this.#shown !== null) this.#drafts.set(this.#shown, $('text').value);
    this.#shown = null;
    this.#sight.disconnect();
    this.#items.clear();
    $('messages').replaceChildren();
  }

  /** Leaves nothing of one user to another. */
  #forget() {
    this.#leave();
    this.#drafts.clear();
    $('text').value = '';
    $('conversations').replaceChildren();
  }

  #insert(message, me, next) {
    const item = element('li', {className: 'message'});
    item.dataset.key = message.key;
    if (message.kind === 'system') {
      item.classList.add('news');
      item.append(element('p', {className: 'body', textContent: newsOf(message.body)}));
    } else {
      item.classList.toggle('mine', message.from === me);
      // Between two it is plain to see who says what, and not to hear.
      const isPlain = message.from === me || message.to.group === undefined;
      item.append(element('p', {className: isPlain ? 'spoken' : 'from', textContent: message.from === me ? 'You' : message.from}));
      const meta = element('p', {className: 'meta'});
      meta.append(element('time', {textContent: timeOf(message.id), dateTime: new Date(madeAt(message.id)).toISOString()}));
      if (message.from === me) meta.append(element('span', {className: 'fate'}));
      item.append(element('p', {className: 'body', dir: 'auto', textContent: textOf(message.body)}), meta);
    }
    this.#items.set(message.key, item);
    $('messages').insertBefore(item, next);
    this.#update(item, message, me);
  }

  #update(item, message, me) {
    if (message.from === me) {
      const fate = message.read.length > 0 ? 'read' : message.delivered.length > 0 ? 'delivered' : message.state;
      item.dataset.state = fate;
      const count = message.to.group !== undefined && message[fate] ? ` (${message[fate].length})` : '';
      item.querySelector('.fate').textContent = FATES[fate] + count + (fate === 'refused' ? `: ${message.code}` : '');
    } else if (message.kind === 'message' && !message.seen) {
      item.dataset.unseen = '';
      this.#sight.observe(item);
    } else {
      delete item.dataset.unseen;
      this.#sight.unobserve(item);
    }
  }

  #toEnd() {
    $('log').scrollTop = $('log').scrollHeight;
  }

  #listen() {
    const actions = this.#actions;
    const submitted = (id, act) => $(id).addEventListener('submit', (event) => {
      event.preventDefault();
      act();
    });
    const clicked = (id, act) => $(id).addEventListener('click', act);
    submitted('sign-in', () => actions.signIn($('user').value.trim()));
    submitted('new', () => this.#begin());
    submitted('composer', () => this.#send());
    clicked('sign-out', () => actions.signOut());
    clicked('back', () => actions.back());
    clicked('take-over', () => actions.reload());
    clicked('dismiss', () => this.notice(''));
    clicked('notifications', () => actions.notify($('notifications').getAttribute('aria-pressed') !== 'true'));
    $('new').addEventListener('change', () => ($('making').hidden = !$('to-group').checked));
    $('text').addEventListener('input', () => actions.type());
    $('text').addEventListener('keydown', (event) => {
      // While a character is being composed, Enter ends that.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
  }

  /** Opens a conversation that was named, and makes its group first if somebody is to be in it. */
  async #begin() {
    const name = $('to').value.trim();
    const isGroup = $('to-group').checked;
    const users = $('members').value.split(/[\s,]+/).filter((user) => user !== '');
    if (isGroup && users.length > 0) await this.#actions.makeGroup(name, users);
    $('new').reset();
    $('making').hidden = true;
    this.#actions.open(isGroup ? {group: name} : {user: name});
  }

  async #send() {
    const text = $('text').value.trim();
    if (text === '') return;
    $('text').value = '';
    try {
      await this.#actions.send(text);
    } catch {
      // Why has been told. He may try again.
      $('text').value ||= text;
    }
  }
}

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

function titleOf(to) {
  return to.group === undefined ? to.user : `#${to.group}`;
}

/** What is not a text, as from another app, is shown as it is. */
function textOf(body) {
  return typeof body === 'string' ? body : JSON.stringify(body);
}

function newsOf({event, by, name, users = [], promoted}) {
  const what = event === 'renamed' ? `renamed the group: ${name}` : `${GROUP_NEWS[event] ?? event} ${event === 'left' ? '' : users.join(', ')}`;
  return `${by} ${what.trim()}${promoted ? `; ${promoted} is admin now` : ''}`;
}

/** The time of day, and the day if it is another one. */
function timeOf(id) {
  const time = new Date(madeAt(id));
  const isToday = time.toDateString() === new Date().toDateString();
  return time.toLocaleString([], {hour: '2-digit', minute: '2-digit', ...(isToday ? {} : {day: 'numeric', month: 'short'})});
}
