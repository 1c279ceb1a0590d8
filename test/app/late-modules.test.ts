import { expect, it, vi } from 'vitest';
import { lateModule, loadLateModules } from '../../src/app/late-modules.ts';

it('one module that cannot be loaded does not keep the others from it', async () => {
  lateModule(async () => {
    throw new Error('no such file');
  });
  const load = vi.fn(async () => 'a module');
  lateModule(load);
  await expect(loadLateModules()).rejects.toThrow('no such file');
  expect(load).toHaveBeenCalledOnce();
});
