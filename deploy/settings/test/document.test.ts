import { readFileSync } from 'node:fs'
import t from 'tap'
import { SETTINGS_DOCUMENT, withTable } from '../document.ts'
import { READERS } from '../schemas.ts'
import { replaceBetween, settingsTable } from '../table.ts'

t.test('docs/settings.md says what the schemas say; npm run docs:settings brings it there', async (t) => {
  const document = readFileSync(SETTINGS_DOCUMENT, 'utf8')
  t.equal(withTable(document), document)
  for (const schema of Object.values(READERS)) {
    for (const name of Object.keys(schema.properties)) t.match(document, `| \`${name}\` |`)
  }
})

t.test('each setting is described by one reader of it at least', async (t) => {
  const undescribed = settingsTable(READERS)
    .split('\n')
    .filter((line) => line.endsWith('|  |'))
  t.same(undescribed, [])
})

t.test('what differs between readers is told for each', async (t) => {
  const one = {
    properties: { PORT: { default: 1, description: 'a port | another' }, ONLY: {}, SAME: { default: false } },
    required: ['PORT', 'ONLY', 'SAME'],
  }
  const other = {
    properties: { PORT: { default: 2 }, SAME: { default: false, description: 'the same' }, MAYBE: {} },
  }
  t.same(settingsTable({ one, 'npm other': other }).split('\n').slice(2), [
    '| `PORT` | `1` one; `2` `npm other` | all | a port \\| another |',
    '| `ONLY` | required | one |  |',
    '| `SAME` | `false` | all | the same |',
    '| `MAYBE` | – | `npm other` |  |',
  ])
})

t.test('a document without the place for it is a fault', async (t) => {
  t.equal(replaceBetween('a<b>old</b>c', '<b>', '</b>', 'new'), 'a<b>\nnew\n</b>c')
  t.throws(() => replaceBetween('a', '<b>', '</b>', 'new'), /no <b>/)
})
