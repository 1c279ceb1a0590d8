import { enter } from '../entry.js';

enter(() => import('./doctor.ts'));
