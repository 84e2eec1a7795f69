import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, it } from 'node:test';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { makeInstance } from '../../common/instance.ts';
import { openBrowser } from '../../deploy/tools/browser.ts';
import { Events } from '../../synapse/report/events.ts';
import type { ServiceReport } from '../../synapse/report/service-shape.ts';
import type { SynapseState } from '../../synapse/report/status-shape.ts';
import { servePage } from '../support/daemons/page-server.ts';
import { serviceReport } from '../support/daemons/service-report.ts';
import { eventually, patienceMs } from '../support/eventually.ts';

const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const instances = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    makeInstance({ host: `10.0.0.${n + 1}`, port: 80, labels: { az: 'zone-a' } }),
  );
const servers = { up: 3, unchecked: 0, down: 0, out: 0 };
const traffic = { seconds: 60, requests: 600, failed: 0, server_errors: 0, retries: 0, queued: 0 };

/** A service of each kind that the page draws in a colour or a word of its own. */
const services: Readonly<Record<string, ServiceReport>> = {
  well: serviceReport({ instances: instances(3), haproxy: { servers, traffic } }),
  unchecked: serviceReport({ instances: instances(3), haproxy: { servers: { ...servers, up: 0, unchecked: 3 } } }),
  broken: serviceReport({
    instances: instances(3),
    haproxy: { servers: { ...servers, up: 0, down: 3 }, traffic: { ...traffic, failed: 600 } },
  }),
  limping: serviceReport({ instances: instances(3), haproxy: { servers: { ...servers, up: 2, down: 1 }, traffic } }),
  cached: serviceReport({ origin: 'cache', reason: 'etcd does not answer', instances: instances(3) }),
  previous: serviceReport({ origin: 'previous', instances: instances(3), haproxy: { servers, traffic } }),
  empty: serviceReport({ instances: [], haproxy: { servers: { ...servers, up: 0 } } }),
  skipping: serviceReport({
    instances: instances(3),
    rejected: [{ where: '/nerve/services/skipping/x', reason: 'host is missing' }],
    haproxy: { servers, traffic },
  }),
  draining: serviceReport({
    instances: [...instances(2), makeInstance({ host: '10.0.0.9', port: 80, state: 'drain' })],
    haproxy: { servers: { ...servers, up: 2, out: 1 }, traffic },
  }),
};
const counters = {
  ...{ status: 'UP', current: 1, queued: 0, sessions: 9, requests: 9, errors: 3, failed: 3, retries: 0, active: 50 },
  backup: 0,
};
const server = {
  ...{ ...counters, address: '10.0.0.1:80', weight: 1, check: 'L4OK', detail: 'Layer4 check passed', since: 9 },
};

/** The rules of WCAG 2.2 AA, and what axe's authors recommend. */
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/**
 * A row of the list says in words what its columns show in figures, so that its name is not its text. What matters, that the name
 * begins with what is seen, has a test of its own.
 */
const exceptions = { 'label-content-name-mismatch': { enabled: false } };

describe('everybody can use the live page', () => {
  const end = new AbortController();
  const events = new Events(500);
  let chromium: { readonly browser: Browser; close(): Promise<void> };
  let url: string;

  before(async () => {
    let count = 0;
    const synapse = {
      ready: () => null,
      state: (only: readonly string[] = Object.keys(services)): SynapseState => ({
        services: Object.fromEntries(only.map((name) => [name, services[name] ?? serviceReport()] as const)),
        haproxy: null,
      }),
      statistics: async () => {
        count += 1;
        const growing = { ...counters, requests: count * 40, errors: count, sessions: count * 40 };
        return {
          services: Object.fromEntries(Object.keys(services).map((name) => [name, growing])),
          servers: {
            broken: instances(3).map(({ id }) => ({ ...server, name: id, status: 'DOWN', errors: count })),
            well: instances(3).map(({ id }) => ({ ...server, name: id })),
          },
        };
      },
      traces: () => ({}),
      sent: () => [],
      fleet: async () => undefined,
    };
    url = await servePage(synapse, events, end.signal);
    events.record({ kind: 'instances', level: 'info', service: 'well', added: ['10.0.0.3:80'], milliseconds: 1 });
    events.record({ kind: 'record_rejected', level: 'warn', service: 'skipping', where: '/x', reason: 'no host' });
    events.record({ kind: 'reload_failed', level: 'error', reason: 'Address already in use' });
    chromium = await openBrowser();
  });
  after(async () => {
    await chromium?.close();
    end.abort();
  });

  async function opened(options: Parameters<Browser['newPage']>[0]): Promise<Page> {
    const page = await chromium.browser.newPage(options);
    page.setDefaultTimeout(patienceMs);
    await page.goto(url);
    await eventually(async () => assert.ok((await page.locator('#events li').count()) >= 3));
    await eventually(async () => assert.match(await page.locator('#row-well').innerText(), /\d+\/3/));
    await eventually(async () => assert.match(await page.locator('#figure-errors').innerText(), /^\d/));
    return page;
  }

  async function complaintsOf(page: Page): Promise<readonly string[]> {
    await page.evaluate(axeSource);
    const script = `axe.run(document, ${JSON.stringify({ runOnly: rules, rules: exceptions })})`;
    const { violations } = (await page.evaluate(script)) as AxeResults;
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, any, all, none }) => {
        const why = [...any, ...all, ...none].map(({ message }) => message).join('; ');
        return `${id}: ${html.slice(0, 160)}: ${why}`;
      }),
    );
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [what, viewport] of [
      ['a desk', { width: 1280, height: 900 }],
      ['a phone', { width: 390, height: 844 }],
    ] as const) {
      it(`axe finds nothing wrong on ${what} in the ${colorScheme}, with and without an open service`, async (t) => {
        const page = await opened({ viewport, colorScheme });
        t.after(() => page.close());
        assert.deepEqual(await complaintsOf(page), []);
        await page.locator('#row-broken').click();
        await eventually(async () => assert.equal(await page.locator('#instances tr').count(), 3));
        await eventually(async () => assert.match(await page.locator('#instances').innerText(), /DOWN/));
        assert.deepEqual(await complaintsOf(page), []);
        await page.locator('#find').fill('nothing of this name');
        await eventually(async () => assert.match(await page.locator('#instances').innerText(), /No instance/));
        assert.deepEqual(await complaintsOf(page), []);
      });
    }
  }

  it('a service is called by the name that is seen, followed by its figures in words', async (t) => {
    const page = await opened({});
    t.after(() => page.close());
    for (const row of await page.locator('#list .row').all()) {
      const seen = await row.locator('.name').innerText();
      const label = (await row.getAttribute('aria-label')) ?? '';
      assert.ok(label.startsWith(`${seen}: `), `${label} for ${seen}`);
      assert.match(label, /requests per second$/);
    }
  });

  it('axe does find a fault: a text in the colour of its ground', async (t) => {
    const page = await opened({});
    t.after(() => page.close());
    await page.evaluate(`document.getElementById('since').style.color = 'var(--line)'`);
    assert.match((await complaintsOf(page)).join('\n'), /^color-contrast: /);
  });

  it('the Tab key reaches each control once, in the order in which they are seen, and back', async (t) => {
    const page = await opened({ viewport: { width: 1280, height: 900 } });
    t.after(() => page.close());
    const seen = async (key: string): Promise<readonly string[]> => {
      const ids: string[] = [];
      for (let step = 0; step < 8; step++) {
        await page.keyboard.press(key);
        ids.push(String(await page.evaluate('document.activeElement?.id ?? ""')));
      }
      return ids.slice(0, ids.indexOf('kinds') + 1 || ids.length);
    };
    await page.locator('body').evaluate((body) => (body as unknown as { focus(): void }).focus());
    const forward = await seen('Tab');
    assert.deepEqual(
      forward.filter((id) => ['search', 'show', 'list', 'kinds'].includes(id)),
      ['search', 'show', 'list', 'kinds'],
    );
  });

  it('a screen reader is told when the verdict changes, and not with every reading', async (t) => {
    const page = await opened({});
    t.after(() => page.close());
    assert.equal(await page.locator('#headline').getAttribute('role'), 'status');
    const live = await page.evaluate(`
      [...document.querySelectorAll('[aria-live], [role=status], [role=alert], [role=log], output')].map((one) => one.id)`);
    // What changes with each reading, such as rates and the number of events, is not among them.
    assert.deepEqual(live, ['headline', 'shown', 'elsewhere', 'fleet-verdict']);
  });

  it('nothing moves for people who have asked for less motion', async (t) => {
    const page = await opened({ reducedMotion: 'reduce' });
    t.after(() => page.close());
    events.record({ kind: 'instances', level: 'info', service: 'well', added: ['10.0.0.4:80'], milliseconds: 1 });
    const item = page.locator('#events li', { hasText: '10.0.0.4:80' });
    await item.waitFor();
    const moving = 'document.getAnimations().length';
    assert.equal(await page.evaluate(moving), 0);
  });

  it('the plot says its time range and its scale, and the value under the pointer', async (t) => {
    const page = await opened({ viewport: { width: 1280, height: 900 }, timezoneId: 'Asia/Kolkata' });
    t.after(() => page.close());
    const label = (): Promise<string> => page.locator('#plot-label').innerText();
    await eventually(async () => assert.match(await label(), /^two minutes, at most [\d.]+k?\/s$/));
    const box = await page.locator('#figure-plot').boundingBox();
    assert.ok(box !== null);
    await page.mouse.move(box.x + box.width - 1, box.y + box.height / 2);
    await eventually(async () => assert.match(await label(), /^[\d.]+k?\/s, now$/));
    await page.mouse.move(box.x + 2, box.y + box.height / 2);
    await eventually(async () => assert.equal(await label(), 'not known yet'));
    await page.mouse.move(5, 5);
    await eventually(async () => assert.match(await label(), /^two minutes/));
    assert.equal(await page.locator('#zone').innerText(), 'times in GMT+0530');
    assert.match((await page.locator('#events time').first().getAttribute('title')) ?? '', /^[\d:]{8} GMT\+0530, 20/);
  });

  it('a phone shows the problems first, then the services, then the events', async (t) => {
    const page = await opened({ viewport: { width: 390, height: 844 } });
    t.after(() => page.close());
    const script = `['#problems', '.services', '.timeline'].map((one) => document.querySelector(one).getBoundingClientRect().top)`;
    const tops = (await page.evaluate(script)) as readonly number[];
    assert.deepEqual(
      tops,
      tops.toSorted((a, b) => a - b),
    );
    assert.ok((tops[0] ?? 0) > 0);
  });
});
