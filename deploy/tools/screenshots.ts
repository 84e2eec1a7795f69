import { fileURLToPath } from 'node:url';
import { sleep } from '../../common/async/supervise.ts';
import { startStack } from '../demo/stack.ts';
import { openBrowser } from './browser.ts';

/** How long there is traffic before the pictures are taken: long enough for the plots to have a shape. Milliseconds. */
const warmUp = 40_000;

/** Takes the README's pictures of the live page, of a whole stack with traffic: `npm run screenshots`. */
const folder = fileURLToPath(new URL('../../../deploy/screenshots/', import.meta.url));
const onProgress = (what: string): void => void process.stderr.write(`${what} …\n`);
const stack = await startStack({ services: ['api', 'cart', 'mail', 'search', 'web'], onProgress });
const chromium = await openBrowser();
const end = new AbortController();
try {
  const page = await chromium.browser.newPage({ viewport: { width: 1200, height: 640 } });
  await page.goto(`http://${stack.synapse.admin}/`);
  for (const [index, port] of Object.values(stack.ports).entries()) void visit(port, 30 + index * 25, end.signal);
  onProgress('sending requests');
  await sleep(warmUp / 2, end.signal);
  await stack.instances.find(({ service }) => service === 'cart')?.process.stop();
  await sleep(warmUp / 2, end.signal);
  await page.locator('#row-api').click();
  await page.locator('#instances .good').first().waitFor();
  await sleep(5_000, end.signal);
  await page.screenshot({ path: `${folder}page.png` });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: `${folder}dark.png` });
} finally {
  end.abort();
  await chromium.close();
  await stack.stop();
}

/** Requests to one service, now more and now fewer. */
async function visit(port: number, pause: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await fetch(`http://127.0.0.1:${port}/`).then(
      (answer) => answer.text(),
      () => {},
    );
    await sleep(pause * (1.2 + Math.sin(performance.now() / 6_000)), signal);
  }
}
