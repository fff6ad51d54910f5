import { readFileSync } from 'node:fs'
import t from 'tap'
import { SETTINGS_DOCUMENT, withTable } from '../document.ts'
import { SERVICES } from '../schemas.ts'
import { replaceBetween, settingsTable } from '../table.ts'

t.test('docs/settings.md matches the schemas; npm run docs:settings updates it', async (t) => {
  const document = readFileSync(SETTINGS_DOCUMENT, 'utf8')
  t.equal(withTable(document), document)
  for (const { properties } of Object.values(SERVICES)) {
    for (const name of Object.keys(properties)) t.match(document, `| \`${name}\` |`)
  }
})

t.test('every setting of a service has a description', async (t) => {
  for (const [service, { properties }] of Object.entries(SERVICES)) {
    for (const [name, property] of Object.entries(properties))
      t.match(property, { description: /./ }, `${service} ${name}`)
  }
})

t.test('the table of settings names the readers of each default if the defaults differ', async (t) => {
  const one = {
    properties: {
      PORT: { default: 1, description: 'a port | another' },
      ONLY: { description: 'a word' },
      SAME: { default: false },
    },
    required: ['PORT', 'ONLY', 'SAME'],
  }
  const two = { properties: { PORT: { default: 1 }, INTERNAL: {} } }
  const other = {
    properties: {
      PORT: { default: 2 },
      SAME: { default: false, description: 'the same' },
      MAYBE: { description: 'if you like' },
    },
  }
  t.same(
    settingsTable({ one, two, other }, { name: 'both', readers: ['one', 'two'] })
      .split('\n')
      .slice(2),
    [
      '| `PORT` | `1` (both); `2` (other) | both, other | a port \\| another |',
      '| `ONLY` | required | one | a word |',
      '| `SAME` | `false` | one, other | the same |',
      '| `MAYBE` | – | other | if you like |',
    ],
  )
})

t.test('replaceBetween throws if the document lacks the markers', async (t) => {
  t.equal(replaceBetween('a<b>old</b>c', '<b>', '</b>', 'new'), 'a<b>\nnew\n</b>c')
  t.throws(() => replaceBetween('a', '<b>', '</b>', 'new'), /no <b>/)
})
