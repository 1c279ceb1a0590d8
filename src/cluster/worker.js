import { enter } from '../entry.js';

enter(() => import('./worker.ts'));
