// A local cloud of a test: a `vartalap up` on a data folder of its own, which can be killed and started again. What is tested is not known
// here.

import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';

const VARTALAP = process.env.VARTALAP ?? new URL('../../target/debug/vartalap', import.meta.url).pathname;

export class Cloud {
  #folder;
  #port = '0';
  #process = null;

  /** Starts one, which ends with the test. */
  static async of(t) {
    const cloud = new Cloud();
    cloud.#folder = await mkdtemp(join(tmpdir(), 'vartalap-page-'));
    t.after(async () => {
      await cloud.kill();
      await rm(cloud.#folder, {recursive: true});
    });
    await cloud.start();
    return cloud;
  }

  /** Starts it, where it was before if it ran already. */
  async start() {
    // Short waits, since a message that a killed server had posted comes again after one of them.
    const flags = ['--waits', '1,1,1,1', '--wake-interval', '2', '--json'];
    this.#process = spawn(VARTALAP, ['up', '--port', this.#port, '--data', this.#folder, ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await Promise.race([
      once(createInterface(this.#process.stdout), 'line'),
      once(this.#process, 'exit').then(([code]) => Promise.reject(new Error(`vartalap up ended with ${code}`))),
      once(this.#process, 'error').then(([error]) => Promise.reject(error)),
    ]);
    this.url = JSON.parse(line).http;
    this.#port = new URL(this.url).port;
  }

  /** Ends it as `kill -9` does. */
  async kill() {
    if (this.#process === null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    this.#process = null;
    await ended;
  }

  /** What is inside it, under `/_local`. */
  async inside(path, body) {
    const response = await fetch(`${this.url}/_local/${path}`, body && {method: 'POST', body: JSON.stringify(body)});
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Waits for the first push that the stand-in of a push service takes for a target, and fails with what else it took. */
  async pushed(target, patience) {
    for (const end = Date.now() + patience; ;) {
      const all = await this.inside('push/received');
      const push = all.find((one) => one.target === target);
      if (push) return push;
      if (Date.now() > end) throw new Error(`nothing was pushed to ${target}, but ${JSON.stringify(all)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** What the HTTP API answers a user. */
  async api(user, path) {
    const {token} = await this.inside('tokens', {user});
    const response = await fetch(`${this.url}${path}`, {headers: {authorization: `Bearer ${token}`}});
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}
