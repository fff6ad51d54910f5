import t from 'tap'
import { ConfigError } from '../src/config.ts'
import { explainStartFailure } from '../src/run.ts'

const CASES = [
  ['bad settings', new ConfigError(['PORT must be integer']), /not valid:\n {2}PORT must be integer/],
  [
    'a port in use',
    Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE', port: 8500, address: '127.0.0.1' }),
    /^port 8500 on 127\.0\.0\.1 is in use/,
  ],
  [
    'a port below 1024',
    Object.assign(new Error('listen EACCES'), { code: 'EACCES', port: 80 }),
    /^port 80 needs/,
  ],
  ['a file that may not be read', Object.assign(new Error('open /x'), { code: 'EACCES' }), /^open \/x$/],
  ['anything else', new Error('it broke'), /^it broke$/],
] as const

t.test('what kept a service from starting is told in a sentence', async (t) => {
  for (const [why, error, sentence] of CASES) t.match(explainStartFailure(error), sentence, why)
})
