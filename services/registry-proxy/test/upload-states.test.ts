import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createUploadStates, offsetOf } from '../src/upload-states.ts'

/** A state in distribution's format. */
const stateOf = (offset: unknown) =>
  Buffer.concat([
    randomBytes(32),
    Buffer.from(JSON.stringify({ Name: 'team/app', UUID: 'u1', Offset: offset })),
  ])
    .toString('base64')
    .replaceAll('+', '-')
    .replaceAll('/', '_')
const locationOf = (state: string, id = 'u1', repository = 'team/app') =>
  `http://registry:5000/v2/${repository}/blobs/uploads/${id}?_state=${encodeURIComponent(state)}`
const upload = (state: string | undefined, id = 'u1', repository = 'team/app') => ({ repository, id, state })

t.test('the newest state is found only for an older state of the same upload', async (t) => {
  const states = createUploadStates()
  const [initial, first, second] = [stateOf(0), stateOf(10), stateOf(20)]
  states.remember(locationOf(initial))
  states.remember(locationOf(first))
  states.remember(locationOf(second))
  t.equal(states.findNewer(upload(initial)), second)
  t.equal(states.findNewer(upload(first)), second)
  t.equal(states.findNewer(upload(second)), undefined, 'the newest state itself')
  t.equal(states.findNewer(upload(stateOf(30))), undefined, 'a newer state that another replica forwarded')
  t.equal(states.findNewer(upload(initial, 'u2')), undefined)
  t.equal(states.findNewer(upload(initial, 'u1', 'team/other')), undefined)
})

t.test('a state that cannot be parsed is ignored', async (t) => {
  const states = createUploadStates()
  states.remember(locationOf(stateOf(10)))
  for (const state of [undefined, '', 'x', stateOf('0'), stateOf(-0.5), stateOf(null)]) {
    t.equal(states.findNewer(upload(state)), undefined)
    t.equal(offsetOf(state), undefined)
  }
  for (const location of [
    '',
    '::',
    '/v2/team/app/blobs/uploads/u1',
    locationOf('x'),
    'https://storage/x?_state=y',
  ])
    states.remember(location)
  t.equal(offsetOf(states.findNewer(upload(stateOf(0)))), 10, 'the remembered state stays')
})

t.test('the least recently used state is dropped first', async (t) => {
  const states = createUploadStates(2)
  for (const id of ['u1', 'u2', 'u1', 'u3']) states.remember(locationOf(stateOf(10), id))
  const known = ['u1', 'u2', 'u3'].filter((id) => states.findNewer(upload(stateOf(0), id)) !== undefined)
  t.same(known, ['u1', 'u3'])
})
