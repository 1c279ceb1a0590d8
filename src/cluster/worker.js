import { enter } from '../entry.js';
import { endWithParent } from './orphan.js';

endWithParent();
enter(() => import('./worker.ts'));
