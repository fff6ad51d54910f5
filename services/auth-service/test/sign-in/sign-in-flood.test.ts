import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { SignInResponse } from '../fixtures/replicas.ts'
import { isDatabaseUnavailable } from '@registry-manager/database'
import { createSharedFailures } from '../../src/sign-in/shared-failures.ts'
import { createSignInFailuresRepository } from '../../src/sign-in/sign-in-failures-repository.ts'
import { createFailureMemory, keyOf } from '../../src/sign-in/failure-memory.ts'
import { ACCOUNT_RULE } from '../../src/sign-in/sign-in-rules.ts'
import { CREDENTIAL, startReplicas } from '../fixtures/replicas.ts'

/** Longer for a measurement: `FLOOD_SECONDS=20 tap run …`. */
const SECONDS = Number(process.env['FLOOD_SECONDS'] ?? 8)
const [CONNECTIONS, PER_SECOND] = [450, 100]
const SIGN_INS_PER_SECOND = 2
/** The aim is one second. A busy machine is slower, so the limit is relative to sign-ins without a flood. */
const [MAX_MS, MAX_RATIO] = [3000, 20]
const ATTACKER = '192.0.2.66'

const stranger = (at: number) => `198.51.${100 + Math.floor(at / 250)}.${at % 250}`
const statusesOf = (answers: readonly SignInResponse[]) => {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** Durations in milliseconds, sorted. */
const timesOf = (answers: readonly SignInResponse[]) =>
  answers.map(({ milliseconds }) => milliseconds).toSorted((one, other) => one - other)
const formatTimes = (times: readonly number[]) =>
  `${times.length}, median ${Math.round(times[times.length >> 1] ?? 0)} ms, worst ${Math.round(times.at(-1) ?? 0)} ms`

t.test(
  'a flood of unknown usernames from one address does not delay sign-ins from other addresses',
  async (t) => {
    const service = await startReplicas(t, 1)
    if (service === undefined) return
    const { signIn } = service
    const names = Array.from({ length: SECONDS * SIGN_INS_PER_SECOND }, (_, at) => `user-${at}`)
    const early = Array.from({ length: 3 * SIGN_INS_PER_SECOND }, (_, at) => `early-${at}`)
    await service.createUsers([...names, ...early, 'neighbour'])
    const signInEach = (names: readonly string[], firstAddress: number) =>
      Promise.all(
        names.map(async (name, at) => {
          await sleep((at * 1000) / SIGN_INS_PER_SECOND)
          return signIn(stranger(firstAddress + at), name)
        }),
      )
    const quiet = timesOf(await signInEach(early, 0))
    t.equal(
      (await signIn(ATTACKER, 'neighbour')).status,
      200,
      'a neighbour of the attacker signs in before the flood',
    )

    const end = Date.now() + SECONDS * 1000
    const flood: SignInResponse[] = []
    const connection = async (number: number) => {
      const period = (CONNECTIONS / PER_SECOND) * 1000
      for (let at = Date.now() + number * (1000 / PER_SECOND); at < end; at += period) {
        await sleep(Math.max(0, at - Date.now()))
        flood.push(await signIn(ATTACKER, `invented-${number}-${at}`, 'some-password'))
      }
    }
    const flooding = Promise.all(Array.from({ length: CONNECTIONS }, (_, number) => connection(number)))
    const answers = await signInEach(names, 250)
    const neighbour = await signIn(ATTACKER, 'neighbour')
    await flooding

    const times = timesOf(answers)
    t.comment(
      `${flood.length} requests in ${SECONDS} s: ${JSON.stringify(statusesOf(flood))};`,
      `first sign-ins: ${formatTimes(times)}; without the flood: ${formatTimes(quiet)}`,
    )
    t.same(
      statusesOf(answers),
      { 200: names.length },
      'every first sign-in with the right password gets a token',
    )
    const [worst = 0, usual = 0] = [times.at(-1), quiet.at(-1)]
    t.ok(worst < Math.max(MAX_MS, MAX_RATIO * usual), `the slowest took ${Math.round(worst)} ms`)
    t.equal(neighbour.status, 200, 'cached credentials pass at the limited address')
    const { 401: wrong = 0, 429: limited = 0 } = statusesOf(flood)
    t.equal(wrong + limited, flood.length, 'every request of the flood is refused or limited')
    t.ok(wrong < 30, `${wrong} invented names were verified`)
  },
)

t.test('replicas share their limits of a client', async (t) => {
  const service = await startReplicas(t, 2)
  if (service === undefined) return
  const { signIn, db } = service
  const accounts = Array.from({ length: 20 }, (_, at) => `user-${at}`)
  await service.createUsers(accounts)
  const names = [...accounts, ...Array.from({ length: 580 }, (_, at) => `other-${at}`)]

  await t.test(
    'one password tried on 600 accounts at two replicas is verified fewer than 30 times',
    async (t) => {
      const answers: SignInResponse[] = []
      for (const [at, name] of names.entries())
        answers.push(await signIn(ATTACKER, name, 'summer-2026', at % 2))
      const { 401: wrong = 0, 429: limited = 0 } = statusesOf(answers)
      t.ok(wrong < 30, `${wrong} were verified`)
      t.equal(limited, 600 - wrong, 'the other attempts are limited')
      t.ok(Number(answers.at(-1)?.retryAfter) > 0, 'a limited attempt has Retry-After')
      t.equal((await signIn('2001:db8::1', 'user-1')).status, 200, 'another address is not limited')
    },
  )

  await t.test('concurrent attempts from one IPv6 network count as one client', async (t) => {
    const answers = await Promise.all(
      names.map((name, at) => signIn(`2001:db8:66:1::${at.toString(16)}`, name, 'summer-2027', at % 2)),
    )
    const { 401: wrong = 0, 429: limited = 0 } = statusesOf(answers)
    // Each replica has up to four attempts in flight that the other one does not know of.
    t.ok(wrong <= 30, `${wrong} were verified`)
    t.equal(wrong + limited, 600)
    t.equal((await signIn('2001:db8:66:2::1', 'user-2')).status, 200, 'another network is not limited')
  })

  await t.test('concurrent guesses of one account from many addresses are limited', async (t) => {
    const answers = await Promise.all(
      names.map((_, at) => signIn(stranger(at), 'user-3', `guess-${at}`, at % 2)),
    )
    const { 401: wrong = 0, 429: limited = 0 } = statusesOf(answers)
    t.ok(wrong <= 28, `${wrong} were verified`)
    t.equal(statusesOf(answers)[200], undefined)
    // The rest is 503 on a slow machine, whose database connections are all in use.
    t.ok(limited > 300, `${limited} are limited`)
  })

  await t.test(
    'the owner of an attacked account signs in from a known address at every replica',
    async (t) => {
      const home = '203.0.113.5'
      t.equal((await signIn(home, 'user-4')).status, 200)
      const known = async () => (await db.selectFrom('known_addresses').select('address').execute()).length
      for (const end = Date.now() + 30_000; (await known()) < 3; await sleep(100)) {
        if (Date.now() > end) throw new Error('the address was not written within 30 s')
      }
      // The failures that another replica counts of an ongoing attack.
      const others = createSharedFailures({
        ...createSignInFailuresRepository(db),
        isUnavailable: isDatabaseUnavailable,
        memory: createFailureMemory(Date.now, 10),
        secret: CREDENTIAL,
        now: Date.now,
      })
      for (let at = 0; at < 40; at += 1) {
        await others.add([{ key: keyOf('account', 'user-4'), rule: ACCOUNT_RULE }])
      }
      t.equal(
        (await signIn(stranger(300), 'user-4', undefined, 1)).status,
        429,
        'an unknown address is limited at the other replica',
      )
      t.equal((await signIn(home, 'user-4', undefined, 0)).status, 200)
      t.equal(
        (await signIn(home, 'user-4', undefined, 1)).status,
        200,
        'at a replica that has not cached the password',
      )
    },
  )
})
