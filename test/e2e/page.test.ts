import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { exec } from '../../common/daemon/exec.ts';
import { openBrowser } from '../../deploy/tools/browser.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { programPath, startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { put, remove } from '../support/etcd/etcd.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import { eventually, patienceMs } from '../support/eventually.ts';
import {
  haproxySection,
  type NamedServer,
  namedServer,
  type TestHaproxy,
  testHaproxy,
} from '../support/haproxy/haproxy.ts';

/** Milliseconds that the page may take to show something on a loaded machine. */
const timeoutMs = patienceMs;

/** The live page in a real browser, with a real etcd and HAProxy. The tests follow each other: each ends with all well. */
describe('the live page', () => {
  const complaints: string[] = [];
  const etcd = withCluster('3.5');
  let haproxy: TestHaproxy;
  let synapse: TestDaemon;
  let server: NamedServer;
  let chromium: { readonly browser: Browser; close(): Promise<void> };
  let page: Page;
  let config: string;
  let value: {
    readonly [section: string]: unknown;
    readonly services: Readonly<Record<string, { readonly discovery: object; readonly haproxy: object }>>;
  };
  let traffic: NodeJS.Timeout | undefined;

  before(async () => {
    chromium = await openBrowser();
    haproxy = await testHaproxy();
    server = await namedServer('one');
    await announce('api', 'one');
    await announce('web', 'one');
    await announce('job', 'one');
    config = join(haproxy.folder, 'synapse.json');
    const ports = { api: await freePort(), web: await freePort(), job: await freePort() };
    const lines = { listen: ['mode http'], server_options: 'check inter 200ms' };
    const fallback = {
      method: 'static',
      servers: [{ name: 'spare', host: '127.0.0.1', port: server.port }],
      after: '1s',
    };
    const discovery = { method: 'etcd' };
    value = {
      etcd: { hosts: etcd.cluster.urls },
      admin: { listen: `127.0.0.1:${await freePort()}` },
      state_file_path: join(haproxy.folder, 'state.json'),
      initial_wait: '2s',
      services: {
        api: { discovery, haproxy: { ...lines, port: ports.api } },
        web: {
          discovery: { ...discovery, generator_config_path: '/config/web' },
          haproxy: { ...lines, port: ports.web },
        },
        job: { discovery: { ...discovery, fallback }, haproxy: { ...lines, port: ports.job } },
      },
      haproxy: haproxySection(haproxy, { restart_interval: 0 }),
    };
    await writeFile(config, JSON.stringify(value));
    await haproxy.startEmpty();
    synapse = await startDaemon('synapse', config);
    page = await chromium.browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(timeoutMs);
    page.on('pageerror', (error) => complaints.push(error.message));
    // A record must not make the browser ask any other host.
    page.on('request', (request) => {
      if (!request.url().startsWith(`http://${synapse.admin}/`)) complaints.push(request.url());
    });
    await page.goto(`http://${synapse.admin}/`);
    const url = `http://127.0.0.1:${ports.api}/`;
    const visit = (): void =>
      void fetch(url).then(
        (answer) => answer.text(),
        () => {},
      );
    traffic = setInterval(visit, 20);
  });
  after(async () => {
    clearInterval(traffic);
    await chromium?.close();
    await synapse?.end('SIGKILL');
    await haproxy?.close();
    await server?.close();
  });

  const key = (service: string, name: string): string => `/nerve/services/${service}/${name}_127.0.0.1:${server.port}`;
  const announce = (service: string, name: string, more: object = {}): Promise<number> =>
    put(etcd.client, key(service, name), JSON.stringify({ host: '127.0.0.1', port: server.port, name, ...more }));
  const headline = (text: string | RegExp): Promise<void> => shows('#headline', text);
  const row = (service: string) => page.locator(`#row-${service}`);

  async function shows(selector: string, text: string | RegExp): Promise<void> {
    await eventually(async () => assert.match(await page.locator(selector).innerText(), asPattern(text)), timeoutMs);
  }
  async function shot(name: string): Promise<void> {
    if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
  }

  it('says that all is well', async () => {
    await headline('All is well');
    assert.equal(await page.locator('#verdict').getAttribute('data-level'), 'good');
    assert.equal(await page.locator('#figure-services').innerText(), '3');
    assert.equal(await page.title(), `synapse ${hostname()}`);
    assert.match((await row('api').getAttribute('aria-label')) ?? '', /^api: 1 up, 1 of 1 servers take traffic,/);
    assert.equal(await row('api').locator('.usable').innerText(), '1/1');
    await shot('well');
  });

  it('shows a change in etcd without being loaded again', async () => {
    await page.evaluate(() => Object.assign(globalThis, { same: true }));
    await announce('api', 'two', { labels: { az: 'zone-b' } });
    await eventually(
      async () => assert.match((await row('api').getAttribute('aria-label')) ?? '', /^api: 2 up/),
      timeoutMs,
    );
    const event = page.locator('#events li', { hasText: '+ two_127.0.0.1' });
    await event.waitFor();
    assert.match(await event.innerText(), /etcd revision \d+/);
    assert.match(await event.innerText(), /\d+ commands?, [\d.]+ ms/);
    assert.equal(await page.evaluate(() => (globalThis as { same?: boolean }).same), true);
  });

  it('shows the same events as the command line', async () => {
    const argv = [process.execPath, programPath('synapse'), 'events', '-c', config] as const;
    const { stdout } = await exec(argv, { timeoutMs });
    assert.match(
      stdout,
      /api +instances: \+two_127\.0\.0\.1:\d+ {2}from etcd at revision \d+ {2}\(\d+ commands?, [\d.]+ ms\)/,
    );
    const lines = (await exec([...argv, '--json'], { timeoutMs })).stdout.trim().split('\n');
    assert.ok(lines.map((line) => JSON.parse(line)).some(({ kind, pid }) => kind === 'haproxy_connected' && pid > 0));
  });

  it('opens and closes a service with the keyboard alone, and shows its servers in HAProxy', async () => {
    await page.keyboard.press('/');
    await page.keyboard.type('ap');
    await eventually(async () => assert.equal(await page.locator('#list .row').count(), 1), timeoutMs);
    // Past the choice of services; the first row of the list becomes active.
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await eventually(
      async () => assert.equal(await page.locator('#list').getAttribute('aria-activedescendant'), 'row-api'),
      timeoutMs,
    );
    await page.keyboard.press('Enter');
    await shows('#detail-title', 'api');
    await shows('#instances', /two_127\.0\.0\.1:\d+\tup\tUP\tL4OK.*\tzone-b/);
    await shot('detail');
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('#detail').isVisible(), false);
    assert.equal(await page.evaluate('document.activeElement?.id'), 'list');
    await page.locator('#search').fill('');
  });

  it('marks servers that differ in HAProxy, and shows the request rate', async () => {
    await row('api').click();
    await eventually(async () => assert.match(await page.locator('#figure-requests').innerText(), /^[1-9]/), timeoutMs);
    await eventually(async () => {
      assert.match((await page.locator('#figure-plot path').getAttribute('d')) ?? '', /^M.*L/);
    }, timeoutMs);
    await haproxy.ask(`set server api/two_127.0.0.1:${server.port} state maint`);
    await page.locator('tr[data-differs="true"]', { hasText: 'in maintenance in HAProxy' }).waitFor();
    await haproxy.ask(`set server api/two_127.0.0.1:${server.port} state ready`);
    await eventually(async () => assert.equal(await page.locator('tr[data-differs="true"]').count(), 0), timeoutMs);
    await page.keyboard.press('Escape');
  });

  it('shows HTML in a record as text', async () => {
    await announce('api', 'three', { labels: { az: '<img src=x onerror=alert(1)>' } });
    await put(etcd.client, '/nerve/services/web/<b>bad</b>', '{"host":"<script>alert(1)</script>","port":1}');
    await headline(/Records skipped: web/);
    assert.equal(await page.locator('#verdict').getAttribute('data-level'), 'warn');
    await page.locator('#events li[data-kind="record_rejected"]', { hasText: '<b>bad</b>' }).waitFor();
    await row('api').click();
    await shows('#instances', '<img src=x onerror=alert(1)>');
    assert.equal(await page.locator('#instances img, #events b').count(), 0);
    await shot('rejected');
    await page.keyboard.press('Escape');
    await remove(etcd.client, '/nerve/services/web/<b>bad</b>');
    await remove(etcd.client, key('api', 'three'));
    await headline('All is well');
  });

  it('says that a fallback is in use', async () => {
    await remove(etcd.client, key('job', 'one'));
    await headline(/Fallback in use: job from/);
    await page.locator('#events li[data-kind="source_switched"]').first().waitFor();
    await shot('fallback');
    await announce('job', 'one');
    await headline('All is well');
  });

  it('says that an expiry guard is in force', async () => {
    // A wave takes two leases, and instances that answer: each has a lease and a server of its own.
    const announced = await Promise.all(
      ['a', 'b', 'c', 'd'].map(async (name) => {
        const own = await namedServer(name);
        const { ID } = await etcd.client.call((rpc) => rpc.lease.leaseGrant({ TTL: 600, ID: 0 }));
        const where = Buffer.from(`/nerve/services/web/${name}_127.0.0.1:${own.port}`);
        const value = Buffer.from(JSON.stringify({ host: '127.0.0.1', port: own.port, name }));
        const again = (lease: string) => etcd.client.call((rpc) => rpc.kv.put({ key: where, value, lease }));
        await again(ID);
        return { own, ID, again };
      }),
    );
    await eventually(
      async () => assert.match((await row('web').getAttribute('aria-label')) ?? '', /^web: 5 up/),
      timeoutMs,
    );
    await Promise.all(announced.map(({ ID }) => etcd.client.call((rpc) => rpc.lease.leaseRevoke({ ID }))));
    await headline(/Expiry guard in force: web/);
    await shot('guard');
    await Promise.all(announced.map(({ again }) => again('0')));
    await headline('All is well');
    // HAProxy checks them: closed before they are withdrawn, they would be down.
    for (const { own } of announced) await remove(etcd.client, `/nerve/services/web/${own.name}_127.0.0.1:${own.port}`);
    await eventually(
      async () => assert.match((await row('web').getAttribute('aria-label')) ?? '', /^web: 1 up, 1 of 1 /),
      timeoutMs,
    );
    await Promise.all(announced.map(({ own }) => own.close()));
  });

  /** Makes synapse read its configuration again, with these keys in the haproxy section of one service. */
  async function reconfigure(service: string, haproxy: object): Promise<void> {
    const { services } = value;
    const own = { ...services[service], haproxy: { ...services[service]?.haproxy, ...haproxy } };
    await writeFile(config, JSON.stringify({ ...value, services: { ...services, [service]: own } }));
    synapse.kill('SIGHUP');
  }

  it('says that a published configuration is refused', async () => {
    await put(etcd.client, '/config/web', JSON.stringify({ haproxy: { backend: ['external-check command /bin/sh'] } }));
    await headline(/Published configuration of web refused/);
    assert.match(await page.locator('#problems').innerText(), /external-check.*may not be published/);
    await page.locator('#events li[data-kind="published_refused"]').first().waitFor();
    await shot('published-refused');
    await remove(etcd.client, '/config/web');
    await headline('All is well');
  });

  it('says which service HAProxy refuses, while a change of another goes live', async () => {
    await reconfigure('web', { listen: ['mode http', 'timeout server soon'] });
    await headline(/HAProxy cannot take the configuration of web/);
    assert.match(await page.locator('#problems').innerText(), /unexpected character 's'/);
    await page.locator('#events li[data-kind="haproxy_refused"]').first().waitFor();
    await announce('api', 'four');
    await eventually(
      async () => assert.match((await row('api').getAttribute('aria-label')) ?? '', /^api: 3 up/),
      timeoutMs,
    );
    await remove(etcd.client, key('api', 'four'));
    await shot('quarantine');
    await reconfigure('web', {});
    await headline('All is well');
  });

  it('says that a reload failed, and why', async () => {
    const taken = await namedServer('taken');
    try {
      await reconfigure('job', { port: taken.port });
      await headline(/HAProxy cannot take the configuration of job|The last reload of HAProxy failed/);
      await page.locator('#events li[data-kind="reload_failed"]').first().waitFor();
      // HAProxy 2.6 does not say why.
      await shows('#problems', /did not take the configuration|Address already in use/);
      await shot('reload-failed');
      await reconfigure('job', {});
      await headline('All is well');
    } finally {
      await taken.close();
    }
  });

  it('is readable on a phone and in the dark', async () => {
    await page.emulateMedia({ colorScheme: 'dark' });
    await shot('dark');
    await page.setViewportSize({ width: 390, height: 844 });
    await eventually(async () => {
      const overflow = Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'));
      assert.ok(overflow <= 0, `${overflow} pixels too wide`);
    }, timeoutMs);
    await row('api').click();
    await shows('#instances', /one_127/);
    await shot('phone');
    await page.keyboard.press('Escape');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  it('says that HAProxy is down, and that it is back', async () => {
    await haproxy.kill();
    await headline(/HAProxy does not answer/);
    assert.equal(await page.locator('#verdict').getAttribute('data-level'), 'bad');
    await page.locator('#events li[data-kind="haproxy_lost"]').waitFor();
    assert.match(await page.locator('#problems').innerText(), /systemctl status haproxy/);
    await shot('haproxy-down');
    await rm(haproxy.socket, { force: true });
    await haproxy.start();
    await headline('All is well');
  });

  it('says that etcd is down, and still shows the instances in use', async () => {
    await etcd.cluster.stopAll();
    await headline(/3 services may be out of date/);
    await page.locator('#events li[data-kind="source_stale"]').first().waitFor();
    assert.match((await row('api').getAttribute('aria-label')) ?? '', /^api: 2 up/);
    await shot('etcd-down');
  });

  it('says that synapse itself is gone', async () => {
    await synapse.end('SIGKILL');
    await headline('synapse does not answer');
    await shows('#since', /^does it run\? systemctl status synapse; this page may be out of date$/);
    await shows('#live', /^not live, /);
    await shot('gone');
  });

  it('has asked no other host and has thrown no error', () => assert.deepEqual(complaints, []));
});

function asPattern(text: string | RegExp): RegExp {
  return typeof text === 'string' ? new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : text;
}
