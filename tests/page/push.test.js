// Notifications of the chat page.
//
// What the tests of pushes show: that the service worker, given a push by the browser, shows, replaces and takes away the notifications that
// it should, as the page's origin has them (`getNotifications`). What they do not show: that a push service delivers a push to the browser, or
// that the browser decrypts it (the DevTools protocol hands the content to the service worker as it is); that the system shows a notification
// to a person, or makes a sound (there is no screen); what a press on one does, for which the browser wants a person's hand; and that a
// silent push is allowed to show nothing for long, which Chromium counts against the page.
//
// What those of subscriptions show: what the page tells its user and the server, and that the service worker can show what the server then
// pushes. No push service is asked, since none can be reached from the browser here: either that is what is tested, or the subscription is
// one of the local cloud's stand-in, which decrypts what it is sent, and whose pushes are handed over as above.

import assert from 'node:assert/strict';
import {test} from 'node:test';

import {PATIENCE, Page, profile} from './browser.js';
import {Cloud} from './cloud.js';

const LIMIT = {timeout: 120_000};

/** A page of bob's whose service worker runs, with a way to hand it a push and to read what is shown. */
async function withWorker(t, prepare = async () => {}) {
  const cloud = await Cloud.of(t);
  const context = await profile(t);
  await prepare(context, cloud);
  await context.grantPermissions(['notifications'], {origin: cloud.url});
  const bob = await Page.open(context, cloud, 'bob');
  const {page} = bob;
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const [worker] = context.serviceWorkers();
  await worker.evaluate(() => {
    const {prototype} = ExtendableEvent;
    const {waitUntil} = prototype;
    self.taken = [];
    prototype.waitUntil = function waitUntilAndTell(promise) {
      if (this.type === 'push') self.taken.push(promise);
      return waitUntil.call(this, promise);
    };
  });
  const protocol = await context.newCDPSession(page);
  const registered = new Promise((resolve) => {
    protocol.on('ServiceWorker.workerRegistrationUpdated', ({registrations}) => {
      const ours = registrations.find(({scopeURL}) => scopeURL.startsWith(cloud.url));
      if (ours) resolve(ours.registrationId);
    });
  });
  await protocol.send('ServiceWorker.enable');
  const registrationId = await registered;
  let pushed = 0;
  /**
   * Hands over a push, and waits until the service worker is done with it. Not less: Chromium forgets a notification when somebody asks
   * what is shown between its being noted and its being shown.
   */
  const push = async (content) => {
    const data = typeof content === 'string' ? content : JSON.stringify(content);
    await protocol.send('ServiceWorker.deliverPushMessage', {origin: cloud.url, registrationId, data});
    await worker.evaluate((index) => new Promise((resolve, failed) => {
      const look = () => (index in self.taken ? self.taken[index].then(() => resolve(), failed) : setTimeout(look, 10));
      look();
    }), pushed);
    pushed += 1;
  };
  /** Waits until just these are shown, `[tag, title, body]` of each in the order of their texts, and fails with what is shown instead. */
  const shown = async (expected) => {
    const last = await page.evaluate(async ([wanted, patience]) => {
      const registration = await navigator.serviceWorker.ready;
      const end = Date.now() + patience;
      for (;;) {
        const all = (await registration.getNotifications()).map(({tag, title, body}) => [tag, title, body]).sort();
        if (JSON.stringify(all) === wanted || Date.now() > end) return all;
        await new Promise(requestAnimationFrame);
      }
    }, [JSON.stringify(expected), PATIENCE]);
    assert.deepEqual(last, expected);
  };
  return {cloud, context, bob, push, shown};
}

function content(id, conversation, badge, more = {}) {
  return {user: 'bob', id: `0198a5c0-7c00-7abc-8def-00000000000${id}`, conversation, badge, kind: 'message', ...more};
}

const ALICE = {user: 'alice'};
const CREW = {group: 'crew'};

test('a push is shown, a later one of the conversation in its place, and a silent one takes it away', LIMIT, async (t) => {
  const {push, shown} = await withWorker(t);
  await push(content(1, ALICE, 1));
  await shown([['as=bob&user=alice', 'New message', 'From alice']]);
  await push(content(2, ALICE, 2));
  await shown([['as=bob&user=alice', '2 new messages', 'From alice']]);
  await push(content(3, CREW, 3));
  await shown([['as=bob&group=crew', '3 new messages', 'In crew'], ['as=bob&user=alice', '2 new messages', 'From alice']]);
  await push(content(3, ALICE, 1, {kind: 'silent'}));
  await shown([['as=bob&group=crew', '3 new messages', 'In crew']]);
  await push(content(3, CREW, 0, {kind: 'silent'}));
  await shown([]);
});

test('a summary, a preview, another user and what cannot be read', LIMIT, async (t) => {
  const {push, shown} = await withWorker(t);
  await push(content(1, null, 50));
  await push(content(2, ALICE, 1, {preview: {from: 'alice', body: '<b>tea?</b>'}}));
  await push({...content(3, ALICE, 1), user: 'carol'});
  const all = [
    ['as=bob&user=alice', 'New message', 'alice: <b>tea?</b>'],
    ['as=bob', '50 new messages', ''],
    ['as=carol&user=alice', 'New message', 'From alice'],
  ];
  await shown(all);
  // Everything was read elsewhere, by bob and not by carol.
  await push(content(4, null, 0, {kind: 'silent'}));
  await shown([all[2]]);
  await push('no JSON');
  await shown([['as=', 'New message', ''], all[2]]);
});

test('opening a conversation takes its notification away', LIMIT, async (t) => {
  const {bob, push, shown} = await withWorker(t);
  await push(content(1, ALICE, 1));
  await push(content(2, CREW, 2));
  await shown([['as=bob&group=crew', '2 new messages', 'In crew'], ['as=bob&user=alice', 'New message', 'From alice']]);
  await bob.begin('alice');
  await shown([['as=bob&group=crew', '2 new messages', 'In crew']]);
});

/** In place of a push service that cannot be reached from here: the page's subscription is the stand-in's. It takes the server's key alone. */
async function subscribesAtStandIn(context, cloud) {
  const {vapid} = await cloud.inside('push');
  const target = await cloud.inside('push/targets', {service: 'webpush'});
  await context.addInitScript(({key, endpoint, p256dh, auth}) => {
    PushManager.prototype.subscribe = async ({applicationServerKey, userVisibleOnly}) => {
      const given = btoa(String.fromCharCode(...applicationServerKey)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
      if (given !== key || !userVisibleOnly) throw new Error('another key than the server has');
      return {toJSON: () => ({endpoint, expirationTime: null, keys: {p256dh, auth}})};
    };
  }, {key: vapid, ...target});
  return {...target, vapid};
}

/** Has the server answer this who asks for its VAPID key. */
function offer(context, status, answer) {
  return context.route('**/v1/push', (route) => route.fulfill({status, json: answer}));
}

test('what stands in the way of notifications is told', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const context = await profile(t);
  const {page} = await Page.open(context, cloud, 'bob');
  const button = page.getByRole('button', {name: 'Notifications'});
  const told = (text) => page.getByRole('alert').getByText(text).waitFor();
  for (const [status, answer] of [[404, {code: 'not_found', detail: ''}], [200, {vapid: null}]]) {
    await offer(context, status, answer);
    await button.click();
    await told('This server has no web push');
    await page.getByRole('button', {name: 'Close'}).click();
  }
  await context.unroute('**/v1/push');
  await context.grantPermissions(['notifications'], {origin: cloud.url});
  await button.click();
  await told('The push service of this browser gave no subscription');
  assert.equal(await button.getAttribute('aria-pressed'), 'false');
});

test('a subscription is registered, beside what else is kept of the device, and taken back', LIMIT, async (t) => {
  const cloud = await Cloud.of(t);
  const context = await profile(t);
  await context.grantPermissions(['notifications'], {origin: cloud.url});
  const target = await subscribesAtStandIn(context, cloud);
  const {page} = await Page.open(context, cloud, 'bob');
  const device = await page.evaluate(() => localStorage.getItem('device of bob'));
  const {token} = await cloud.inside('tokens', {user: 'bob'});
  await fetch(`${cloud.url}/v1/devices/${device}`, {
    method: 'PUT', body: '{"presence":true}', headers: {authorization: `Bearer ${token}`},
  });
  const kept = async () => (await cloud.api('bob', '/v1/me/export')).devices;
  const button = page.getByRole('button', {name: 'Notifications'});
  const pressed = (is) => page.locator(`#notifications[aria-pressed=${is}]`).waitFor({timeout: PATIENCE});

  await button.click();
  await pressed(true);
  const [on] = await kept();
  assert.deepEqual([on.device, on.presence, on.push], [device, true, [target]]);
  await page.reload();
  await pressed(true);
  await button.click();
  await pressed(false);
  const [off] = await kept();
  assert.deepEqual([off.presence, off.push], [true, []]);
});

test('what the server pushes to an absent user is what the service worker shows', LIMIT, async (t) => {
  let target;
  const {cloud, context, bob, push, shown} = await withWorker(t, async (...of) => {
    target = await subscribesAtStandIn(...of);
  });
  await bob.page.getByRole('button', {name: 'Notifications'}).click();
  await bob.page.locator('#notifications[aria-pressed=true]').waitFor();
  // A page of the same origin, without a socket: bob is away.
  await bob.page.goto(`${cloud.url}/healthz`);
  const alice = await Page.open(context, cloud, 'alice');
  await alice.begin('bob');
  await alice.say('tea?');
  const {content} = await cloud.pushed(target.endpoint, PATIENCE);
  assert.deepEqual([content.user, content.conversation, content.badge, content.kind], ['bob', {user: 'alice'}, 1, 'message']);
  assert.ok(!JSON.stringify(content).includes('tea?'));
  await push(content);
  await shown([['as=bob&user=alice', 'New message', 'From alice']]);
});
