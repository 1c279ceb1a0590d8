import { enter } from '../entry.js';

enter(() => import('./healthcheck.ts'));
