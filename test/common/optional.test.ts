import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { optionalPackage } from '../../common/plugin.ts';

describe('an optional package', () => {
  it('is returned when it is installed', async () => {
    const path = await optionalPackage('node:path', () => import('node:path'));
    assert.equal(path().basename('/a/b'), 'b');
  });

  it('is an error that says what to install, only when it is used', async () => {
    const name = 'no-such-package';
    const missing = await optionalPackage(name, () => import(name));
    assert.throws(missing, {
      message: 'needs the npm package no-such-package: it is not installed; npm install no-such-package',
    });
  });

  it('is an error with the reason when it is installed and does not load', async () => {
    const broken = await optionalPackage('broken', () => Promise.reject(new Error('needs Node 99')));
    assert.throws(broken, { message: 'needs the npm package broken: needs Node 99; npm install broken' });
  });
});
