import assert from 'node:assert/strict';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { anchors, tableRows } from '../support/docs/markdown.ts';
import { promtool } from '../support/process/promtool.ts';
import { root } from '../support/repository.ts';
import { tempFolder } from '../support/temp-folder.ts';

const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
}

/** The type of every metric by its name. */
let metrics: ReadonlyMap<string, string>;
before(async () => {
  const rows = tableRows(await read('common/metrics.md'), 'metric');
  metrics = new Map(rows.map(([name = '', type = '']) => [name.replaceAll('`', ''), type]));
});

/** The names of the daemons' metrics in an expression. */
function namesIn(expression: string): readonly string[] {
  return [...expression.replace(/"[^"]*"/g, '').matchAll(/\b(?:nerve|synapse|process|nodejs)_\w+/g)].map(
    ([name]) => name,
  );
}

function assertKnown(expression: string): void {
  for (const name of namesIn(expression)) {
    const base = name.replace(/_(bucket|sum|count)$/, '');
    const known = metrics.has(name) || metrics.get(base) === 'histogram';
    assert.ok(known, `${name} is not in common/metrics.md: ${expression}`);
    if (metrics.get(name) === 'counter') {
      assert.match(expression, new RegExp(`(rate|increase)\\(${name}`), `${name} is a counter: ${expression}`);
    }
  }
}

/** The alert that fires because of these series, each of which has one value for ever. */
const firing: readonly (readonly [alert: string, series: Readonly<Record<string, string>>])[] = [
  ['SmartstackDown', { 'up{job="nerve", instance="a"}': '0x99' }],
  ['SmartstackConfigurationInvalid', { synapse_config_valid: '0x99' }],
  ['NerveLeaseLost', { 'nerve_leases{state="lost"}': '1x99' }],
  [
    'NerveNotAnnounced',
    { 'nerve_service_up{service="api"}': '1x99', 'nerve_service_announced{service="api"}': '0x99' },
  ],
  ['NerveServiceDown', { 'nerve_service_up{service="api"}': '0x99' }],
  [
    'NerveLate',
    {
      'nerve_probe_lateness_seconds_bucket{le="0.5"}': '0x99',
      'nerve_probe_lateness_seconds_bucket{le="1"}': '0+10x99',
      'nerve_probe_lateness_seconds_bucket{le="+Inf"}': '0+10x99',
    },
  ],
  ['NerveKeysChangedByOthers', { 'nerve_etcd_key_repairs_total{noticed="watch"}': '0+1x99' }],
  ['SynapseNotReady', { synapse_ready: '0x99' }],
  ['SynapseSourceStale', { 'synapse_source_up{service="api", method="etcd"}': '0x99' }],
  [
    'SynapseNoInstances',
    {
      'synapse_instances{service="api", state="up"}': '0x99',
      'synapse_instances{service="api", state="drain"}': '0x99',
    },
  ],
  [
    'HaproxyNoServerUsable',
    {
      'synapse_instances{service="api", state="up"}': '1x99',
      'synapse_haproxy_servers{service="api", status="up"}': '0x99',
      'synapse_haproxy_servers{service="api", status="unchecked"}': '0x99',
      'synapse_haproxy_servers{service="api", status="down"}': '1x99',
    },
  ],
  [
    'HaproxyMostServersDown',
    {
      'synapse_haproxy_servers{service="api", status="up"}': '1x99',
      'synapse_haproxy_servers{service="api", status="unchecked"}': '0x99',
      'synapse_haproxy_servers{service="api", status="down"}': '1x99',
    },
  ],
  [
    'HaproxyRequestsFail',
    {
      'synapse_haproxy_requests_total{service="api"}': '0+100x99',
      'synapse_haproxy_failed_requests_total{service="api", what="connection"}': '0+4x99',
      'synapse_haproxy_failed_requests_total{service="api", what="answer"}': '0+4x99',
    },
  ],
  ['HaproxyRequestsWait', { 'synapse_haproxy_queued_requests{service="api"}': '1x99' }],
  ['SynapseFallbackInUse', { 'synapse_source_in_use{service="api", source="fallback"}': '1x99' }],
  ['SynapseGuardInForce', { synapse_guards_in_force: '1x99' }],
  ['SynapseRecordsUnusable', { 'synapse_unusable_records{service="api"}': '2x99' }],
  ['SynapseTooManyInstances', { 'synapse_instances_over_limit{service="api"}': '2x99' }],
  ['SynapsePublishedConfigurationRefused', { 'synapse_published_config_refused{service="api"}': '1x99' }],
  ['HaproxyUnreachable', { 'synapse_haproxy_up{socket="/run/haproxy/admin.sock"}': '0x99' }],
  ['HaproxyRefuses', { synapse_haproxy_quarantined_services: '1x99' }],
  ['HaproxyReloadFails', { 'synapse_haproxy_reloads_total{reason="server", result="failed"}': '0+1x99' }],
  ['HaproxyReloadWaits', { synapse_haproxy_reload_pending: '1x99' }],
  ['HaproxyOldWorkers', { synapse_haproxy_old_workers: '5x99' }],
  ['HaproxyServersHeld', { synapse_haproxy_held_servers: '1x99' }],
  [
    'SynapseSlow',
    {
      'synapse_haproxy_apply_duration_seconds_bucket{le="1"}': '0x99',
      'synapse_haproxy_apply_duration_seconds_bucket{le="2.5"}': '0+10x99',
      'synapse_haproxy_apply_duration_seconds_bucket{le="+Inf"}': '0+10x99',
    },
  ],
];

/** Series of all metrics in alerts, with values at which none fires. */
const quiet: Readonly<Record<string, string>> = {
  'up{job="synapse", instance="a"}': '1x99',
  nerve_config_valid: '1x99',
  'nerve_leases{state="lost"}': '0x99',
  'nerve_leases{state="held"}': '1x99',
  'nerve_service_up{service="api"}': '1x99',
  'nerve_service_announced{service="api"}': '1x99',
  'nerve_probe_lateness_seconds_bucket{le="0.1"}': '0+10x99',
  'nerve_probe_lateness_seconds_bucket{le="+Inf"}': '0+10x99',
  'nerve_etcd_key_repairs_total{noticed="watch"}': '1x99',
  synapse_ready: '1x99',
  'synapse_source_up{service="api", method="etcd"}': '1x99',
  'synapse_instances{service="api", state="up"}': '2x99',
  'synapse_instances{service="api", state="drain"}': '0x99',
  'synapse_source_in_use{service="api", source="primary"}': '1x99',
  'synapse_source_in_use{service="api", source="fallback"}': '0x99',
  'synapse_haproxy_servers{service="api", status="up"}': '3x99',
  'synapse_haproxy_servers{service="api", status="unchecked"}': '0x99',
  'synapse_haproxy_servers{service="api", status="down"}': '1x99',
  'synapse_haproxy_requests_total{service="api"}': '0+100x99',
  'synapse_haproxy_failed_requests_total{service="api", what="connection"}': '0+2x99',
  'synapse_haproxy_failed_requests_total{service="api", what="answer"}': '0+2x99',
  'synapse_haproxy_queued_requests{service="api"}': '0x99',
  'synapse_unusable_records{service="api"}': '0x99',
  'synapse_instances_over_limit{service="api"}': '0x99',
  'synapse_published_config_refused{service="api"}': '0x99',
  'synapse_haproxy_up{socket="s"}': '1x99',
  synapse_haproxy_quarantined_services: '0x99',
  synapse_haproxy_config_refused: '0x99',
  'synapse_haproxy_reloads_total{reason="server", result="failed"}': '3x99',
  synapse_haproxy_reload_pending: '0x99',
  synapse_haproxy_old_workers: '1x99',
  synapse_haproxy_held_servers: '0x99',
  synapse_guards_in_force: '0x99',
  'synapse_haproxy_apply_duration_seconds_bucket{le="0.01"}': '0+10x99',
  'synapse_haproxy_apply_duration_seconds_bucket{le="+Inf"}': '0+10x99',
};

describe('the alerts of deploy/monitoring', () => {
  let rules: readonly Rule[];
  before(async () => {
    rules = parse(await read('deploy/monitoring/alerts.yml')).groups.flatMap(
      (group: { readonly rules: readonly Rule[] }) => group.rules,
    );
  });

  it('are valid for promtool and use metrics that exist', async (t) => {
    await promtool(['check', 'rules'], await read('deploy/monitoring/alerts.yml'), await tempFolder(t));
    for (const { expr } of rules) assertKnown(expr);
  });

  it('fire one by one in their own situations, and not while nothing is wrong', async (t) => {
    const folder = await tempFolder(t);
    await copyFile(join(root, 'deploy/monitoring/alerts.yml'), join(folder, 'alerts.yml'));
    assert.deepEqual(
      firing.map(([alert]) => alert).toSorted(),
      rules.map(({ alert }) => alert).toSorted(),
      'every alert has a case here',
    );
    const seriesOf = (series: Readonly<Record<string, string>>) =>
      Object.entries(series).map(([name, values]) => ({ series: name, values }));
    const fires = (alert: string, value?: number) => ({
      expr: `count by (alertname) (ALERTS{${alert}alertstate="firing"})`,
      eval_time: '80m',
      exp_samples: value === undefined ? [] : [{ labels: `{${alert.replace(/, $/, '')}}`, value }],
    });
    const tests = [
      ...firing.map(([alert, series]) => ({
        interval: '1m',
        input_series: seriesOf(series),
        promql_expr_test: [fires(`alertname="${alert}", `, 1)],
      })),
      { interval: '1m', input_series: seriesOf(quiet), promql_expr_test: [fires('')] },
    ];
    await promtool(['test', 'rules'], JSON.stringify({ rule_files: ['alerts.yml'], tests }), folder);
  });

  it('name headings of the runbook that exist, and each heading about a problem has an alert', async () => {
    const [first, ...headings] = anchors(await read('deploy/operations.md')).slice(1);
    const named = new Set(
      rules.map(({ annotations: { runbook } }) => {
        const [page, anchor = ''] = runbook.split('#');
        assert.equal(page, 'deploy/operations.md');
        return anchor;
      }),
    );
    assert.equal(first, 'the-first-minute');
    assert.deepEqual([...named].toSorted(), headings.toSorted());
  });
});

/**
 * What the daemons of the demo once served at /metrics, as series of a host: counters grow to the recorded value, gauges keep it.
 * test/golden/metrics has the metrics of the dashboard.
 */
async function recordedSeries(): Promise<readonly { readonly series: string; readonly values: string }[]> {
  const all: { readonly series: string; readonly values: string }[] = [
    { series: 'up{job="nerve", instance="a"}', values: '1x99' },
  ];
  for (const program of ['nerve', 'synapse']) {
    for (const line of (await read(`test/golden/metrics/${program}.prom`)).split('\n')) {
      const [, name = '', labels, value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (name === '') continue;
      const isCounter = /_(total|bucket|sum|count)$/.test(name);
      const host = `job="${program}", instance="a"`;
      all.push({
        series: `${name}{${[host, ...(labels === undefined ? [] : [labels])].join(', ')}}`,
        values: isCounter ? `0+${Number(value) / 99}x99` : `${value}x99`,
      });
    }
  }
  return all;
}

/** The series on a host of its own. */
function labelled(series: string, host: string): string {
  const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(series) ?? [];
  const own = labels.includes('instance=') ? [] : [`instance="${host}"`];
  return `${name}{${[...own, ...(labels === '' ? [] : [labels.replace(/instance="[^"]*"/, `instance="${host}"`)])].join(', ')}}`;
}

/** What happens in no alert, and did not happen when the series were recorded. */
const unseen: readonly (readonly [series: string, values: string])[] = [
  ['synapse_haproxy_commands_total{instance="a", command="add server", result="done"}', '0+1x99'],
  ['synapse_suspect_instances{instance="a", service="api"}', '1x99'],
  ['nerve_etcd_requests_total{instance="a", method="leaseGrant", code="UNAVAILABLE"}', '0+1x99'],
  ['synapse_etcd_requests_total{instance="a", method="range", code="UNAVAILABLE"}', '0+1x99'],
];

describe('the dashboard of deploy/monitoring', () => {
  let panels: readonly Panel[];
  let text: string;
  before(async () => {
    text = await read('deploy/monitoring/dashboard.json');
    panels = JSON.parse(text).panels;
  });

  it('uses metrics that exist in expressions that promtool accepts', async (t) => {
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    assert.ok(expressions.length > 30);
    for (const expression of expressions) assertKnown(expression);
    const rules = expressions.map((expression, index) => ({
      record: `panel:${index}`,
      expr: expression.replaceAll('$__rate_interval', '5m').replace(/\$(instance|service)/g, '.*'),
    }));
    await promtool(['check', 'rules'], JSON.stringify({ groups: [{ name: 'dashboard', rules }] }), await tempFolder(t));
  });

  it('each query runs on recorded series without an error, and finds something in each situation that an alert is about', async (t) => {
    const queries = panels
      .flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })))
      .map(({ title, expr }) => {
        return { title, expr: expr.replaceAll('$__rate_interval', '5m').replace(/\$(instance|service)/g, '.*') };
      });
    const recorded = await recordedSeries();
    // Every situation at once, each on a host and a service of its own, so that no series stands for two.
    const ill = firing.flatMap(([alert, series]) =>
      Object.entries(series).map(([name, values]) => ({ series: labelled(name, alert), values })),
    );
    const input_series = [...recorded, ...ill, ...unseen.map(([name, values]) => ({ series: name, values }))];
    const tests = queries.map(({ expr }) => ({
      interval: '1m',
      input_series,
      promql_expr_test: [
        { expr: `count(${expr}) > bool 0`, eval_time: '80m', exp_samples: [{ labels: '{}', value: 1 }] },
      ],
    }));
    assert.ok(tests.length > 30);
    await promtool(['test', 'rules'], JSON.stringify({ rule_files: [], tests }), await tempFolder(t));
    const broken = {
      ...tests[0],
      promql_expr_test: [{ expr: 'a + on () b', eval_time: '1m', exp_samples: [{ labels: '{}', value: 1 }] }],
    };
    await assert.rejects(
      promtool(['test', 'rules'], JSON.stringify({ rule_files: [], tests: [broken] }), await tempFolder(t)),
    );
  });

  it('defines the variables that it uses, and uses the chosen data source', () => {
    const { templating } = JSON.parse(text);
    const variables = templating.list.map(({ name }: { readonly name: string }) => name);
    const builtIn = ['__rate_interval', '__all'];
    const used = new Set([...text.matchAll(/\$\{?(\w+)/g)].map(([, name = '']) => name));
    for (const name of used) assert.ok([...variables, ...builtIn].includes(name), name);
    for (const { targets = [] } of panels)
      for (const { datasource } of targets) assert.equal(datasource.uid, ['$', '{datasource}'].join(''));
    for (const { query } of templating.list) assertKnown(String(query?.query ?? ''));
  });

  it('has panels with a title and an explanation that do not overlap', () => {
    const cells = new Map<string, string>();
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    for (const { type, title, description = '', gridPos } of panels) {
      assert.ok(title !== '' && (type === 'row' || description !== ''), title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.equal(cells.get(`${x},${y}`), undefined, title);
          cells.set(`${x},${y}`, title);
          assert.ok(x < 24);
        }
      }
    }
  });

  it('shows every metric of the daemons that an alert uses', async () => {
    const alerts = namesIn(await read('deploy/monitoring/alerts.yml')).filter(
      (name) => !/_config_valid|published/.test(name),
    );
    const shown = new Set(panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => namesIn(expr))));
    for (const name of alerts) assert.ok(shown.has(name), name);
  });
});
