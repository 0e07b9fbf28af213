// The chat page in a browser, against a local cloud: two profiles are two people. Every wait is for something to be seen, with a limit.

import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';

import {Page, launch} from './browser.js';
import {Cloud} from './cloud.js';

const LIMIT = {timeout: 120_000};

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** The page of each user, in a profile of his own that ends with the test; afterwards nothing may have gone wrong in any. */
async function pages(t, cloud, ...users) {
  const opened = [];
  for (const user of users) {
    const context = await browser.newContext();
    t.after(() => context.close());
    opened.push(await Page.open(context, cloud, user));
  }
  t.after(() => opened.forEach(({user, broken}) => assert.deepEqual(broken, [], user)));
  return opened;
}

test('a message is sent, delivered, and read, and answered', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const [alice] = await pages(t, cloud, 'alice');
  await alice.begin('bob');
  await alice.say('hello');
  // Nobody is there to have it.
  await alice.fate('hello', 'accepted');
  const [bob] = await pages(t, cloud, 'bob');
  // He has it and has not looked at it.
  await alice.fate('hello', 'delivered');
  await bob.entry('alice').getByLabel('1 unread').waitFor();
  await bob.entry('alice').click();
  await bob.reads('hello');
  await alice.fate('hello', 'read');
  await bob.say('hello yourself');
  await alice.reads('hello yourself');
  await bob.fate('hello yourself', 'read');
  assert.deepEqual(await alice.texts(), ['hello', 'hello yourself']);
  assert.deepEqual(await bob.texts(), ['hello', 'hello yourself']);
});

test('what was written to somebody away is there when he comes', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const [alice, bob] = await pages(t, cloud, 'alice', 'bob');
  const context = bob.page.context();
  await bob.page.close();
  await alice.begin('bob');
  for (const text of ['one', 'two', 'three']) {
    await alice.say(text);
    await alice.fate(text, 'accepted');
  }
  const back = await Page.open(context, cloud, 'bob');
  await back.entry('alice').getByLabel('3 unread').waitFor();
  await back.entry('alice').click();
  await alice.fate('three', 'read');
  assert.deepEqual(await back.texts(), ['one', 'two', 'three']);
});

test('a reload shows what was there, once', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const [alice, bob] = await pages(t, cloud, 'alice', 'bob');
  await alice.begin('bob');
  await bob.begin('alice');
  const said = [];
  for (const [speaker, hearer, text] of [[alice, bob, 'one'], [bob, alice, 'two'], [alice, bob, 'three'], [bob, alice, 'four']]) {
    await speaker.say(text);
    await speaker.fate(text, 'read');
    await hearer.reads(text);
    said.push(text);
  }
  for (const person of [alice, bob]) {
    // The server has nothing more of it, so what is shown is what was kept here.
    const device = await person.page.evaluate((user) => localStorage.getItem(`device of ${user}`), person.user);
    const pending = await cloud.inside(`inbox/${person.user}/${device}`);
    assert.deepEqual(pending.filter((ref) => !ref.includes('~system')), []);
    await person.page.reload();
    await person.connected();
    await person.reads('four');
    assert.deepEqual(await person.texts(), said);
  }
  await alice.fate('three', 'read');
  await bob.say('five');
  await alice.reads('five');
  assert.deepEqual(await alice.texts(), [...said, 'five']);
});

test('a server that is killed comes back, and what was written meanwhile arrives once', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const [alice, bob] = await pages(t, cloud, 'alice', 'bob');
  await alice.begin('bob');
  await bob.begin('alice');
  await alice.say('before');
  await alice.fate('before', 'read');
  await cloud.kill();
  await Promise.all([alice.state('waiting'), bob.state('waiting')]);
  await alice.say('meanwhile');
  await alice.fate('meanwhile', 'sending');
  await bob.say('from here too');
  await bob.fate('from here too', 'sending');
  await cloud.start();
  await Promise.all([alice.connected(), bob.connected()]);
  await alice.fate('meanwhile', 'read');
  await bob.fate('from here too', 'read');
  await alice.say('after');
  await alice.fate('after', 'read');
  for (const person of [alice, bob]) {
    const texts = await person.texts();
    assert.deepEqual(texts.toSorted(), ['after', 'before', 'from here too', 'meanwhile'], person.user);
    assert.deepEqual([texts[0], texts.at(-1)], ['before', 'after']);
  }
});

test('what was not answered is sent again, and shown once', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const context = await browser.newContext();
  t.after(() => context.close());
  // The server takes the message, and its answer is lost on the way.
  const sent = [];
  const lost = [];
  let again;
  const resent = new Promise((resolve) => (again = resolve));
  await context.routeWebSocket(/\/local/, (page) => {
    const server = page.connectToServer();
    page.onMessage((frame) => {
      const {action, messages} = JSON.parse(frame);
      if (action === 'send' && !messages[0].ephemeral) sent.push(messages[0].id);
      if (sent[0] === sent[1] && sent.length === 2) again();
      server.send(frame);
    });
    server.onMessage((frame) => {
      const {type, ids} = JSON.parse(frame);
      if (type === 'accepted' && lost.length === 0 && ids.includes(sent[0])) lost.push(frame);
      else page.send(frame);
    });
  });
  const alice = await Page.open(context, cloud, 'alice');
  const [bob] = await pages(t, cloud, 'bob');
  await bob.begin('alice');
  await alice.begin('bob');
  await alice.say('again');
  await bob.reads('again');
  await resent;
  await alice.say('more');
  await alice.fate('more', 'read');
  assert.deepEqual([lost.length, sent.length, new Set(sent).size], [1, 3, 2]);
  assert.deepEqual(await bob.texts(), ['again', 'more']);
});

test('what was not sent when the page was closed is sent when it is opened again', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const context = await browser.newContext();
  t.after(() => context.close());
  let isStuck = true;
  await context.routeWebSocket(/\/local/, (page) => {
    const server = page.connectToServer();
    page.onMessage((frame) => isStuck && JSON.parse(frame).action === 'send' || server.send(frame));
  });
  const [bob] = await pages(t, cloud, 'bob');
  await bob.begin('alice');
  const alice = await Page.open(context, cloud, 'alice');
  await alice.begin('bob');
  await alice.say('stuck');
  await alice.fate('stuck', 'sending');
  await alice.page.close();
  isStuck = false;
  const again = await Page.open(context, cloud, 'alice');
  await again.entry('bob').click();
  await again.fate('stuck', 'read');
  assert.deepEqual([await again.texts(), await bob.texts()], [['stuck'], ['stuck']]);
});

test('markup in a message is text', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const [alice, bob] = await pages(t, cloud, 'alice', 'bob');
  const text = '<img src="/icon.svg" onload="document.body.remove()"><b>bold</b> <script>document.body.remove()</script> &amp;';
  await alice.begin('bob');
  await alice.say(text);
  await bob.entry('alice').click();
  await bob.reads(text);
  assert.deepEqual(await bob.texts(), [text]);
  assert.equal(await bob.entry('alice').locator('.last').textContent(), text);
  for (const person of [alice, bob]) {
    assert.equal(await person.page.locator('#chat').locator('img, b, script').count(), 0);
  }
});

test('a second window takes over, and gives it back when asked', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const [alice, bob] = await pages(t, cloud, 'alice', 'bob');
  const second = await Page.open(alice.page.context(), cloud, 'alice');
  await alice.state('displaced');
  await bob.begin('alice');
  await bob.say('where are you');
  await second.entry('bob').click();
  await second.reads('where are you');
  await alice.page.getByRole('button', {name: 'Use it here'}).click();
  await alice.connected();
  await second.state('displaced');
  await alice.entry('bob').click();
  await alice.reads('where are you');
});

test('a group is made, told of, and written to', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const [alice, bob, carol] = await pages(t, cloud, 'alice', 'bob', 'carol');
  await alice.begin('crew', {group: true, members: 'bob, carol'});
  await alice.reads('alice made the group with bob, carol');
  await alice.say('all hands');
  for (const person of [bob, carol]) {
    await person.entry('#crew').click();
    await person.reads('all hands');
  }
  await alice.fate('all hands', 'read');
  await alice.page.getByText('Read (2)').waitFor();
});

test('a message that is refused says why', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const [alice] = await pages(t, cloud, 'alice');
  await alice.begin('nowhere', {group: true});
  await alice.say('anybody?');
  await alice.page.getByText('Refused: not_a_member').waitFor();
  await alice.say('x'.repeat(31_000));
  await alice.page.getByText('Refused: too_large').waitFor();
  await alice.page.reload();
  await alice.page.getByText('Refused: not_a_member').waitFor();
});

test('whoever types is seen typing until his message comes', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const [alice, bob] = await pages(t, cloud, 'alice', 'bob');
  await bob.begin('alice');
  await alice.begin('bob');
  await alice.page.getByLabel('Message', {exact: true}).pressSequentially('so');
  await bob.page.getByText('alice is typing…').waitFor();
  await alice.say('so what');
  await bob.reads('so what');
  await bob.page.getByText('alice is typing…').waitFor({state: 'detached'});
  assert.deepEqual(await bob.texts(), ['so what']);
});

test('a token is replaced before it expires', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const context = await browser.newContext();
  t.after(() => context.close());
  let minted = 0;
  await context.route('**/_local/tokens', async (route) => {
    minted += 1;
    const response = await route.fetch();
    const token = await response.json();
    // The first has a minute to live, which is less than what it takes to be used.
    const expires_at = minted === 1 ? Date.now() + 60_000 : token.expires_at;
    await route.fulfill({response, json: {...token, expires_at}});
  });
  const bob = await Page.open(context, cloud, 'bob');
  const before = minted;
  const [alice] = await pages(t, cloud, 'alice');
  await alice.begin('bob');
  for (const text of ['one', 'two']) {
    await alice.say(text);
    if (text === 'one') await bob.entry('alice').click();
    // Which bob's page says over HTTP, with a token.
    await alice.fate(text, 'read');
  }
  assert.deepEqual([before, minted], [1, 2]);
});

test('signing out leaves nothing of one user to the next', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const [alice] = await pages(t, cloud, 'alice');
  await alice.begin('bob');
  await alice.say('between us');
  await alice.fate('between us', 'accepted');
  await alice.page.getByLabel('Message', {exact: true}).fill('a draft');
  await alice.page.getByRole('button', {name: 'Sign out'}).click();
  await alice.page.getByLabel('Your name').fill('mallory');
  await alice.page.getByRole('button', {name: 'Chat'}).click();
  await alice.connected();
  assert.equal(await alice.page.locator('#conversations li').count(), 0);
  const mallory = Object.assign(alice, {user: 'mallory'});
  await mallory.begin('bob');
  assert.deepEqual(await mallory.texts(), []);
  assert.equal(await mallory.page.getByLabel('Message', {exact: true}).inputValue(), '');
});

test('what cannot be kept is neither sent nor lost', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const [alice, bob] = await pages(t, cloud, 'alice', 'bob');
  await alice.begin('bob');
  await bob.begin('alice');
  // As with a full disk.
  const full = (page, is) => page.evaluate((is) => {
    const {prototype} = IDBObjectStore;
    prototype.kept ??= prototype.put;
    prototype.put = is ? function put() { this.transaction.abort(); } : prototype.kept;
  }, is);
  await full(alice.page, true);
  await alice.say('to be kept');
  await alice.page.getByRole('alert').getByText('could not keep a message').waitFor();
  assert.equal(await alice.page.getByLabel('Message', {exact: true}).inputValue(), 'to be kept');
  await full(alice.page, false);
  // What bob's page cannot keep it does not ack, so that it comes again.
  await full(bob.page, true);
  await alice.page.getByLabel('Message', {exact: true}).press('Enter');
  await alice.fate('to be kept', 'accepted');
  await bob.page.getByRole('alert').getByText('could not keep a message').waitFor();
  const device = await bob.page.evaluate(() => localStorage.getItem('device of bob'));
  assert.equal((await cloud.inside(`inbox/bob/${device}`)).length, 1);
  await full(bob.page, false);
  await alice.fate('to be kept', 'read');
  assert.deepEqual([await alice.texts(), await bob.texts()], [['to be kept'], ['to be kept']]);
});
