import t from 'tap'
import { isRepositoryName } from '../src/name.ts'
t.equal(isRepositoryName('a'), true)
