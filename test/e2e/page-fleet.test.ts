import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { openBrowser } from '../../deploy/tools/browser.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import type { FleetDocument } from '../../synapse/report/fleet-shape.ts';
import { startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { put } from '../support/etcd/etcd.ts';
import { FakeProxy, fleetSize, type Says } from '../support/etcd/fleet.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import { eventually, patienceMs } from '../support/eventually.ts';
import { haproxySection, type TestHaproxy, testHaproxy } from '../support/haproxy/haproxy.ts';
import { until } from '../support/until.ts';

const folder = '/nerve/services/api';
const slow: Says = () => ({ result: 'applied', ms: 340 });
const stuck: Says = () => ({ result: 'cannot', reason: 'HAProxy does not answer' });

/** The page of one synapse, with stand-ins for the synapses of two other hosts. The tests follow each other. */
describe('the fleet on the live page', () => {
  const etcd = withCluster('3.5');
  const end = new AbortController();
  const complaints: string[] = [];
  let haproxy: TestHaproxy;
  let synapse: TestDaemon;
  let other: FakeProxy;
  let chromium: { readonly browser: Browser; close(): Promise<void> };
  let page: Page;

  before(async () => {
    chromium = await openBrowser();
    haproxy = await testHaproxy();
    for (const name of ['one', 'two']) {
      const record = { host: '10.0.0.1', port: name === 'one' ? 1 : 2, name };
      await put(etcd.client, `${folder}/${name}_10.0.0.1:${record.port}`, JSON.stringify(record));
    }
    const config = join(haproxy.folder, 'synapse.json');
    const admin = { listen: `127.0.0.1:${await freePort()}` };
    const section = { listen: ['mode http'], port: await freePort() };
    const services = { api: { discovery: { method: 'etcd' }, haproxy: section } };
    const top = { etcd: { hosts: etcd.cluster.urls }, admin, services };
    await writeFile(config, JSON.stringify({ ...top, haproxy: haproxySection(haproxy, { restart_interval: 0 }) }));
    await haproxy.startEmpty();
    other = await new FakeProxy(etcd.client, 'host-b', slow, [folder]).start(end.signal);
    synapse = await startDaemon('synapse', config);
    await eventually(async () => assert.equal((await synapse.get('/readyz')).status, 200));
    await until(async () => (await fleetSize(etcd.client, 'proxies')) === 2);
    page = await chromium.browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(patienceMs);
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`http://${synapse.admin}/`);
  });
  after(async () => {
    end.abort();
    await chromium?.close();
    await synapse?.end('SIGKILL');
    await haproxy?.close();
  });

  const text = (selector: string): Promise<string> => page.locator(selector).innerText();
  const rows = async (): Promise<readonly string[]> =>
    (await page.locator('#proxies tr').allInnerTexts()).map((row) => row.replace(/\s+/g, ' '));
  const document = async (query = ''): Promise<FleetDocument> =>
    JSON.parse((await synapse.get(`/api/v1/fleet${query}`)).body) as FleetDocument;
  async function shot(name: string): Promise<void> {
    if (!process.env.SCREENSHOTS) return;
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}-${colorScheme}.png`) });
    }
  }

  it('shows every proxy, and how long each took to apply the present revision, when it is opened', async () => {
    assert.equal(other.requests.size, 0, 'nobody is asked before');
    await page.locator('#fleet-open').click();
    await eventually(async () => assert.match(await text('#fleet-verdict'), /^2 of 2 proxies had revision \d+ at /));
    const [slowest, fastest] = await rows();
    assert.match(String(slowest), /^host-b 340 ms · 2\.0\.0 .* 1 \/nerve\/services\/api$/);
    assert.match(String(fastest), new RegExp(`^${hostname()} [\\d.]+ ms`));
    assert.equal(await text('#fleet-open'), '2');
    await shot('fleet');
  });

  it('shows who has come since, and does not ask again by itself', async () => {
    await other.says(stuck);
    await new FakeProxy(etcd.client, '<b>host-c</b>', slow, ['/x', '/y']).start(end.signal);
    await eventually(async () => assert.match(String((await rows()).at(-1)), /^<b>host-c<\/b> not asked /));
    assert.equal(await fleetSize(etcd.client, 'requests'), 0);
    assert.match(await text('#fleet-verdict'), /^2 of 3 proxies had revision/);
  });

  it('asks again at the button, and shows first who has not applied it, and why', async () => {
    // At once after the last answer, it is the same.
    await eventually(async () => {
      await page.locator('#fleet-ask:enabled').click();
      assert.match(await text('#fleet-verdict'), /^2 of 3 proxies had revision \d+/);
      assert.match(String((await rows())[0]), /^host-b HAProxy does not answer · /);
    });
    assert.match(String((await rows()).find((row) => row.includes('host-c'))), /340 ms/);
    await shot('fleet-missing');
    assert.equal(await page.locator('#proxies b').count(), 0, 'a name is text, and no HTML');
  });

  it('closes with the keyboard, and in favour of a service', async () => {
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('#fleet').isVisible(), false);
    await page.locator('#fleet-open').click();
    await page.locator('#row-api').click();
    assert.equal(await page.locator('#fleet').isVisible(), false);
    assert.equal(await page.locator('#detail').isVisible(), true);
  });

  it('compares what the hosts have of a service, and names those that differ', async () => {
    const differs: Says = (request) =>
      request.kind === 'instance' && request.key.endsWith('two_10.0.0.1:2')
        ? { result: 'cannot', reason: 'api/two is not in HAProxy yet' }
        : { result: 'applied' };
    await other.says(differs);
    await eventually(async () => {
      await page.locator('#compare:enabled').click();
      const said = 'two_10.0.0.1:2: in rotation in 1 proxy; not in host-b (api/two is not in HAProxy yet)';
      assert.equal(await text('#elsewhere'), said);
    });
    await shot('compared');
    await other.says(() => ({ result: 'applied' }));
    await eventually(async () => {
      await page.locator('#compare:enabled').click();
      assert.match(await text('#elsewhere'), /^The same in 2 proxies: /);
    });
  });

  it('answers the same at the API, and nothing about a service that there is not', async () => {
    const { proxies, asked_at, id } = await document();
    assert.deepEqual([proxies.length, asked_at, id], [3, null, hostname()]);
    assert.equal((await document('?service=api')).service, 'api');
    assert.equal((await synapse.get('/api/v1/fleet?service=nope')).status, 404);
    assert.deepEqual(complaints, []);
  });
});
