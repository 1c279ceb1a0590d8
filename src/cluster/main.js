import { enter } from '../entry.js';

enter(() => import('./main.ts'));
