import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { makeInstance } from '../../common/instance.ts';
import { openBrowser } from '../../deploy/tools/browser.ts';
import { Events } from '../../synapse/report/events.ts';
import type { ServiceReport } from '../../synapse/report/service-shape.ts';
import type { SynapseState } from '../../synapse/report/status-shape.ts';
import { servePage } from '../support/daemons/page-server.ts';
import { serviceReport } from '../support/daemons/service-report.ts';
import { eventually } from '../support/eventually.ts';

const counters = {
  status: 'UP',
  current: 1,
  queued: 0,
  sessions: 9,
  requests: 9,
  errors: 0,
  failed: 0,
  retries: 0,
  active: 50,
  backup: 0,
};
const names = Array.from({ length: 1_000 }, (_, index) => `service-${String(index).padStart(4, '0')}`);

function serviceOf(count: number): ServiceReport {
  return serviceReport({
    age: 1,
    revision: '7',
    instances: Array.from({ length: count }, (_, n) => makeInstance({ host: `10.0.0.${n}`, port: 80 })),
  });
}

describe('the live page with 1,000 services of 50 instances', () => {
  const end = new AbortController();
  const events = new Events(500);
  const asked: string[] = [];
  const services = new Map(names.map((name) => [name, serviceOf(50)]));
  let chromium: { readonly browser: Browser; close(): Promise<void> };
  let page: Page;

  before(async () => {
    const synapse = {
      ready: () => null,
      state: (only: readonly string[] = names): SynapseState => ({
        services: Object.fromEntries(only.flatMap((name) => [[name, services.get(name) ?? serviceOf(0)] as const])),
        haproxy: null,
      }),
      statistics: async () => ({ services: Object.fromEntries(names.map((name) => [name, counters])), servers: {} }),
      traces: () => ({}),
      sent: () => [],
      fleet: async () => undefined,
    };
    const url = await servePage(synapse, events, end.signal);
    chromium = await openBrowser();
    page = await chromium.browser.newPage();
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(url);
  });
  after(async () => {
    await chromium?.close();
    end.abort();
  });

  const label = (name: string): Promise<string | null> => page.locator(`#row-${name}`).getAttribute('aria-label');

  it('draws only the visible rows', async () => {
    await eventually(async () => assert.equal(await page.locator('#figure-instances').innerText(), '50000'));
    await eventually(async () => assert.match((await label('service-0000')) ?? '', /^service-0000: 50 up/));
    const drawn = await page.locator('#list .row').count();
    assert.ok(drawn > 5 && drawn < 80, `${drawn} rows`);
    assert.equal(await page.locator('#list .row').first().getAttribute('aria-setsize'), '1000');
  });

  it('moves to the last service with one key', async () => {
    await page.locator('#list').focus();
    await page.keyboard.press('End');
    await eventually(async () => assert.match((await label('service-0999')) ?? '', /50 up/));
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowDown');
    await eventually(async () =>
      assert.equal(await page.locator('#list').getAttribute('aria-activedescendant'), 'row-service-0001'),
    );
  });

  it('reads only the service that changed', async () => {
    const before = asked.length;
    services.set('service-0003', serviceOf(49));
    events.record({ kind: 'instances', level: 'info', service: 'service-0003', removed: ['x'], milliseconds: 1 });
    await eventually(async () => assert.match((await label('service-0003')) ?? '', /: 49 up/));
    assert.ok(asked.slice(before).some((url) => url.endsWith('/api/v1/summary?service=service-0003')));
  });

  it('reads a few summaries for thousands of events, and keeps the last 500 events', async () => {
    const before = asked.length;
    for (let round = 0; round < 3; round++) {
      for (const service of names) {
        events.record({ kind: 'instances', level: 'info', service, added: [`added-${round}`], milliseconds: 1 });
      }
    }
    await page.locator('#events li', { hasText: 'service-0999 + added-2' }).first().waitFor();
    const readings = asked.slice(before).filter((url) => url.includes('/summary')).length;
    assert.ok(readings <= 10, `${readings} readings`);
    assert.equal(await page.locator('#events li').count(), 500);
    await page.locator('#search').fill('0777');
    await eventually(async () => assert.equal(await page.locator('#list .row').count(), 1));
  });
});
