import { expect, it } from 'vitest';
import { Complaints } from '../../src/app/complaints.ts';
import { keptLog } from '../support/log.ts';

it('what goes wrong again and again is said now and then, with how often; at debug each time', () => {
  const { log, lines } = keptLog();
  const complaints = new Complaints(log);
  for (let time = 0; time < 3; time++) complaints.say('wrong', { attempt: time });
  expect(lines).toMatchObject([{ level: 'warn', msg: 'wrong', attempt: 0, suppressed: 0 }]);
  log.level = 'debug';
  complaints.say('wrong', { attempt: 3 });
  expect(lines[1]).toMatchObject({ level: 'debug', msg: 'wrong', attempt: 3 });

  const often = new Complaints(log, 0);
  for (let time = 0; time < 3; time++) often.say('wrong');
  expect(lines.slice(2)).toMatchObject(Array(3).fill({ level: 'warn', suppressed: 0 }));
});
