import { fileURLToPath } from 'node:url';
import { sleep } from '../../common/async/sleep.ts';
import { startStack } from '../demo/stack.ts';
import { openBrowser } from './browser.ts';

/** How long requests are sent before the pictures are taken, so that the plots have a shape. */
const warmUpMs = 40_000;

/** `npm run screenshots`: takes the README's pictures of the live page of a whole stack with traffic. */
const folder = fileURLToPath(new URL('../../../deploy/screenshots/', import.meta.url));
const onProgress = (what: string): void => void process.stderr.write(`${what} …\n`);
const stack = await startStack({ services: ['api', 'cart', 'mail', 'search', 'web'], onProgress });
const chromium = await openBrowser();
const end = new AbortController();
try {
  const page = await chromium.browser.newPage({ viewport: { width: 1200, height: 640 } });
  await page.goto(`http://${stack.synapse.admin}/`);
  for (const [index, port] of Object.values(stack.ports).entries())
    void sendRequests(port, 30 + index * 25, end.signal);
  onProgress('sending requests');
  await sleep(warmUpMs / 2, end.signal);
  await stack.instances.find(({ service }) => service === 'cart')?.process.stop();
  await sleep(warmUpMs / 2, end.signal);
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

/** Sends requests to one service, at a rate that rises and falls. */
async function sendRequests(port: number, pauseMs: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await fetch(`http://127.0.0.1:${port}/`).then(
      (answer) => answer.text(),
      () => {},
    );
    await sleep(pauseMs * (1.2 + Math.sin(performance.now() / 6_000)), signal);
  }
}
