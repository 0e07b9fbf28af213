// Notifications of this browser: the permission, the subscription, and telling the server of it. What a push looks like when it comes is in
// `sw.js`.

const SUBSCRIBED_WITHIN_MS = 20_000;

/** Why there are no notifications, for the user. */
export class Unavailable extends Error {}

export class Notifications {
  #account;
  #registration;
  #kept;

  /** `registration` is the service worker's, or null where the browser has none for this page. */
  constructor(account, registration) {
    this.#account = account;
    this.#registration = registration;
    this.#kept = `notifications of ${account.user}`;
  }

  get isOn() {
    return localStorage.getItem(this.#kept) === 'on' && globalThis.Notification?.permission === 'granted';
  }

  /** Asks for what it takes, and tells the server where to push. A subscription that is there already is told again, as it may be new. */
  async turnOn() {
    if (!this.#registration?.pushManager || !globalThis.Notification) {
      throw new Unavailable('This browser has no notifications for this page: they need a service worker, and so https or localhost.');
    }
    const key = await this.#key();
    if ((await Notification.requestPermission()) !== 'granted') {
      throw new Unavailable('Notifications are not allowed for this page; allow them in the settings of the browser.');
    }
    const {endpoint, keys} = (await this.#subscription(bytes(key))).toJSON();
    await this.#tell([{service: 'webpush', endpoint, p256dh: keys.p256dh, auth: keys.auth, vapid: key}]);
    localStorage.setItem(this.#kept, 'on');
  }

  /** The subscription stays, since it is the browser's and other users here may have theirs by it. */
  async turnOff() {
    await this.#tell([]);
    localStorage.removeItem(this.#kept);
  }

  /** Takes away what is shown of a conversation. */
  async dismiss(tag) {
    const shown = (await this.#registration?.getNotifications({tag})) ?? [];
    for (const notification of shown) notification.close();
  }

  /** The key by which the deployment's pushes are told from others'. */
  async #key() {
    const response = await this.#account.request('GET', '/v1/push').catch(() => {
      throw new Unavailable('The server cannot be reached; try again later.');
    });
    const {vapid = null} = response.ok ? await response.json() : {};
    if (vapid !== null) return vapid;
    if (response.ok || response.status === 404) throw new Unavailable('This server has no web push: it was given no VAPID key.');
    throw new Unavailable(`The server could not say how it pushes (${response.status}); try again later.`);
  }

  async #subscription(applicationServerKey) {
    const manager = this.#registration.pushManager;
    const before = await manager.getSubscription();
    // One that was made for another server's key cannot be had for this one's.
    if (before && !same(before.options.applicationServerKey, applicationServerKey)) await before.unsubscribe();
    try {
      return await within(manager.subscribe({userVisibleOnly: true, applicationServerKey}), SUBSCRIBED_WITHIN_MS);
    } catch (error) {
      throw new Unavailable(`The push service of this browser gave no subscription (${error.message}). It may be out of reach from here.`);
    }
  }

  /** Nothing but `push` is named, so that whatever else is kept of the device stays. */
  async #tell(push) {
    const path = `/v1/devices/${this.#account.device}`;
    const response = await this.#account.request('PUT', path, {push}).catch(() => null);
    if (response?.ok) return;
    const why = response ? (await response.json().catch(() => null))?.code ?? response.status : 'it cannot be reached';
    throw new Unavailable(`The server did not take it: ${why}.`);
  }
}

/** Registers the service worker; null where there is none, as on a page that is neither https nor of this machine. */
export async function serviceWorker() {
  try {
    return (await navigator.serviceWorker?.register('/sw.js')) ?? null;
  } catch (error) {
    console.warn('no service worker, so no notifications', error);
    return null;
  }
}

function bytes(base64url) {
  const text = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function same(buffer, array) {
  const other = new Uint8Array(buffer ?? []);
  return other.length === array.length && other.every((byte, index) => byte === array[index]);
}

async function within(promise, limit) {
  let timer;
  const late = new Promise((_, failed) => (timer = setTimeout(() => failed(new Error('no answer')), limit)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
