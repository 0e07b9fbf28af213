// Chromium, and the chat page in it as a person meets it: what he reads and presses. The browser reaches nothing but this machine.

import {createRequire} from 'node:module';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

// Installed by `cargo xtask page`, apart from the checkout's own files.
const TOOLS = process.env.PAGE_TOOLS ?? new URL('../../target/tools/page/', import.meta.url).pathname;
const {chromium} = createRequire(join(TOOLS, 'package.json'))('playwright-core');

/** How long anything may take that is waited for, in ms. */
export const PATIENCE = 30_000;

const SETTINGS = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
    // Nobody out there is asked for anything: what there is to reach must not change a test.
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
  ],
};

/** One browser, in which each context is a profile of its own. It makes its own user data folder and removes it. */
export function launch() {
  return chromium.launch(SETTINGS);
}

/** One browser with a profile that is none of an incognito window: those have no push. It ends with the test. */
export async function profile(t) {
  const folder = await mkdtemp(join(tmpdir(), 'vartalap-profile-'));
  const context = await chromium.launchPersistentContext(folder, SETTINGS);
  t.after(async () => {
    await context.close();
    await rm(folder, {recursive: true, maxRetries: 5});
  });
  context.setDefaultTimeout(PATIENCE);
  return context;
}

/** The page of one user. Whatever goes wrong in it fails the test that looks at `broken`. */
export class Page {
  broken = [];

  constructor(page, cloud, user) {
    Object.assign(this, {page, cloud, user});
    page.on('pageerror', (error) => this.broken.push(String(error)));
    // What the policy of the page forbids is said on the console.
    page.on('console', (line) => /Content Security Policy/.test(line.text()) && this.broken.push(line.text()));
  }

  /** Opens the page in a context and signs in. */
  static async open(context, cloud, user) {
    context.setDefaultTimeout(PATIENCE);
    const page = new Page(await context.newPage(), cloud, user);
    await page.page.goto(cloud.url);
    await page.page.getByLabel('Your name').fill(user);
    await page.page.getByRole('button', {name: 'Chat'}).click();
    await page.connected();
    return page;
  }

  /** Waits until the page has all there is. */
  connected() {
    return this.state('drained');
  }

  state(state) {
    return this.page.locator(`#state[data-state=${state}]`).waitFor();
  }

  /** Begins a conversation with a user or a group; members make the group. */
  async begin(name, {group = false, members = ''} = {}) {
    if (group) await this.page.getByRole('radio', {name: 'Group'}).check();
    await this.page.getByLabel('Name of the user or group').fill(name);
    if (members) await this.page.getByLabel('Members, to make the group').fill(members);
    await this.page.getByRole('button', {name: 'Open'}).click();
    await this.page.getByRole('heading', {name: group ? `#${name}` : name, exact: true}).waitFor();
  }

  async say(text) {
    await this.page.getByLabel('Message', {exact: true}).fill(text);
    await this.page.getByLabel('Message', {exact: true}).press('Enter');
  }

  /** Waits for an own message to be `sending`, `accepted`, `delivered`, `read` or `refused`. */
  fate(text, fate) {
    return this.page.locator(`.message.mine[data-state=${fate}]`, {has: this.page.getByText(text, {exact: true})}).waitFor();
  }

  /** Waits for a message in the open conversation. */
  reads(text) {
    return this.page.locator('.message .body').getByText(text, {exact: true}).first().waitFor();
  }

  /** Everything in the open conversation, from above. */
  texts() {
    return this.page.locator('.message .body').allTextContents();
  }

  /** The entry of a conversation in the list. */
  entry(name) {
    return this.page.locator('#conversations a', {has: this.page.getByText(name, {exact: true})});
  }
}
