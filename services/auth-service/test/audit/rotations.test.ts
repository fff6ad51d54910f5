import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@registry-manager/testing/until'
import t from 'tap'
import { rotateSigningKeys } from '../../src/access-tokens/signing-key-files.ts'
import { loadSigningKeys } from '../../src/access-tokens/signing-keys.ts'
import { startReplicas } from '../fixtures/replicas.ts'

/** Longer than the time in which every replica reads the folder again. */
const ALL_READ_MS = 5000

t.test('a rotation of the signing keys is one event, although two replicas notice it', async (t) => {
  const service = await startReplicas(t, 2)
  if (service === undefined) return
  const { db, folder } = service
  const keysSeen = async () => (await db.selectFrom('signing_keys').select('id').execute()).length
  const rotations = () => db.selectFrom('events').selectAll().where('action', '=', 'keys.rotate').execute()
  await until(async () => (await keysSeen()) === 1, 'the first key is known')
  t.same(await rotations(), [], 'the first key is no rotation')

  await rotateSigningKeys(folder)
  const keyId = (await loadSigningKeys(folder)).currentKeyId()
  await until(async () => (await rotations()).length > 0, 'the rotation is an event')
  await sleep(ALL_READ_MS)
  const [event, ...others] = await rotations()
  t.match(event, {
    outcome: 'done',
    principal_kind: 'service',
    principal_name: 'auth-service',
    address: null,
    request_id: null,
    target: { kind: 'signing-keys', name: 'signing keys' },
    detail: { keyId },
  })
  t.same(others, [])
})
