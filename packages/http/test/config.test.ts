import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Type } from 'typebox'
import { ConfigError, readEnvironment } from '../src/config.ts'

const schema = Type.Object({
  PORT: Type.Integer({ default: 8001, minimum: 0, maximum: 65535, description: 'public port' }),
  NAME: Type.Optional(Type.String({ pattern: '^[a-z]+$', description: 'a name' })),
  SECRET: Type.String({ minLength: 8, description: 'a secret' }),
  ENABLED: Type.Boolean({ default: false }),
  LEVEL: Type.Enum(['low', 'high'], { default: 'low' }),
})
const SECRET = 'hunter2-hunter2'

/** The faults of an environment; undefined when it is valid. */
function faultsOf(env: Record<string, string>): readonly string[] | undefined {
  try {
    readEnvironment(schema, env)
    return undefined
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

t.test('settings are typed, get their defaults, and contain no other variables', async (t) => {
  const values = readEnvironment(schema, { SECRET, PORT: '80', NAME: '', ENABLED: 'true', HOME: '/root' })
  t.strictSame(values, { SECRET, PORT: 80, ENABLED: true, LEVEL: 'low' })
  t.throws(() => Object.assign(values, { PORT: 81 }), TypeError, 'the settings are frozen')
})

t.test('a string setting of digits stays a string', async (t) => {
  t.equal(readEnvironment(schema, { SECRET: '0123456789' }).SECRET, '0123456789')
})

t.test('a ConfigError names every invalid variable', async (t) => {
  const faults = faultsOf({ PORT: '65536', NAME: 'NOT-GOOD', ENABLED: 'maybe', LEVEL: 'middling' })
  const named = faults?.map((fault) => fault.split(' ', 1)[0]).toSorted()
  t.same(named, ['ENABLED', 'LEVEL', 'NAME', 'PORT', 'SECRET'])
  t.match(
    faults?.find((fault) => fault.startsWith('PORT')),
    /65535.*public port/,
    'the problem says what is right',
  )
})

t.test('a ConfigError names every invalid variable, even thirty of them', async (t) => {
  const names = Array.from({ length: 30 }, (_, at) => `PORT_${at}`)
  const many = Type.Object(Object.fromEntries(names.map((name) => [name, Type.Integer()])))
  const env = Object.fromEntries(names.map((name) => [name, 'x']))
  try {
    readEnvironment(many, env)
    t.fail('the settings were accepted')
  } catch (error) {
    t.equal((error as ConfigError).faults.length, 30)
  }
})

t.test('a setting with a value of another type is refused and not coerced', async (t) => {
  const bad = ['x', '12abc', '-1', '65536', '80.5', 'true', 'null', 'Infinity', 'NaN', '[80]']
  for (const PORT of bad) t.match(faultsOf({ SECRET, PORT }), [/^PORT must be /], `PORT=${PORT}`)
  for (const ENABLED of ['maybe', '2', 'on ']) {
    t.match(faultsOf({ SECRET, ENABLED }), [/^ENABLED must be boolean/], `ENABLED=${ENABLED}`)
  }
})

t.test('a setting can come from a file that NAME_FILE names', async (t) => {
  const folder = t.testdir({ secret: `${SECRET}\n`, port: '81\r\n', empty: '\n' })
  const values = readEnvironment(schema, {
    SECRET_FILE: join(folder, 'secret'),
    PORT_FILE: join(folder, 'port'),
  })
  t.match(values, { PORT: 81 })
  t.equal(values.SECRET, SECRET, 'without the line break at its end')

  t.test('an empty settings file is reported once', async (t) => {
    t.match(faultsOf({ SECRET_FILE: join(folder, 'empty') }), { length: 1, 0: /^SECRET_FILE .*empty file/ })
  })

  t.test('a NAME_FILE that cannot be read is reported once', async (t) => {
    t.match(faultsOf({ SECRET_FILE: join(folder, 'absent') }), {
      length: 1,
      0: /^SECRET_FILE cannot be read/,
    })
    t.match(
      faultsOf({ SECRET, NAME_FILE: folder }),
      { length: 1, 0: /^NAME_FILE cannot be read/ },
      'a folder instead of a file',
    )
  })

  t.test('NAME and NAME_FILE together are reported once', async (t) => {
    const faults = faultsOf({ SECRET, SECRET_FILE: join(folder, 'secret') })
    t.match(faults, { length: 1, 0: 'SECRET and SECRET_FILE are both set' })
  })

  t.test('an empty variable together with NAME_FILE counts as absent', async (t) => {
    t.equal(readEnvironment(schema, { SECRET: '', SECRET_FILE: join(folder, 'secret') }).SECRET, SECRET)
  })
})

t.test('the messages of a ConfigError contain no values, which may be secrets', async (t) => {
  const folder = t.testdir()
  writeFileSync(join(folder, 'name'), 'TOP-SECRET-NAME')
  const SECRET = 'oh-no'
  const env = { SECRET, NAME_FILE: join(folder, 'name'), PORT: '70001', ENABLED: 'perhaps', LEVEL: 'lofty' }
  const text = faultsOf(env)?.join('\n') ?? ''
  t.match(text, /SECRET must[^]*PORT|PORT[^]*SECRET must/, 'all variables are named')
  for (const value of [SECRET, 'TOP-SECRET-NAME', '70001', 'perhaps', 'lofty']) t.notMatch(text, value, value)
})
