import type { Database } from '@registry-manager/database'
import type { RecordListsOfEvents } from '@registry-manager/events'
import { createRecordEvents } from '@registry-manager/events'
import type { ServiceClient, UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import type { OnRevoked } from '../accounts/revocations-repository.ts'
import { inRevokingTransaction } from '../accounts/revocations-repository.ts'
import type { AffectedAccounts } from '../principals/account.ts'
import { AUTH_SERVICE } from '../principals/principal.ts'
import type { PrincipalOptions } from '../sign-in/require-principal.ts'
import type { ExplainAccessPorts } from './explain-access.ts'
import { createExplainAccess } from './explain-access.ts'
import { explainRoutes } from './explain-routes.ts'
import type { SetExternalMemberships } from './external-memberships.ts'
import { createSetExternalMemberships } from './external-memberships.ts'
import { createGrantsRepository } from './grants-repository.ts'
import { grantsRoutes } from './grants-routes.ts'
import { createGroupsRepository } from './groups-repository.ts'
import { groupsRoutes } from './groups-routes.ts'
import { createAccountsWithAccessRepository } from './accounts-with-access-repository.ts'
import { createListNamespaces } from './list-namespaces.ts'
import { createManageGrants } from './manage-grants.ts'
import { createManageGroups } from './manage-groups.ts'
import { createRepositoryNamespaces } from './repository-namespaces.ts'

export interface AccessDeps {
  readonly db: Database
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly onRevoked: OnRevoked
}

export interface AccessFeature {
  readonly setExternalMemberships: SetExternalMemberships
  /** The names, in a source, of all groups that mappings refer to. */
  mappedNames(source: string): Promise<string[]>
  register(
    app: FastifyInstance,
    principals: PrincipalOptions & { readonly unavailableDependency: UnavailableDependency },
    ports: Omit<ExplainAccessPorts, 'listWithRights' | 'now'> & { readonly imageManager: ServiceClient },
  ): Promise<void>
}

type Repositories = ReturnType<typeof createGrantsRepository> &
  ReturnType<typeof createGroupsRepository> & {
    raiseGenerations(affected: AffectedAccounts): Promise<unknown>
    readonly recordEvents: RecordListsOfEvents
  }

/** Grants, groups and namespaces. */
export function createAccess({ db, now, onRevoked }: AccessDeps): AccessFeature {
  const inTransaction = <Result>(work: (repositories: Repositories) => Promise<Result>): Promise<Result> =>
    inRevokingTransaction(db, onRevoked, (tx, { raiseGenerations }) =>
      work({
        ...createGrantsRepository(tx),
        ...createGroupsRepository(tx),
        raiseGenerations,
        recordEvents: createRecordEvents(tx, { principal: AUTH_SERVICE }),
      }),
    )
  const [grants, groups] = [createGrantsRepository(db), createGroupsRepository(db)]
  return {
    setExternalMemberships: createSetExternalMemberships({ ...groups, inTransaction }),
    mappedNames: groups.mappedNames,
    async register(app, principals, ports) {
      await app.register(grantsRoutes, {
        ...principals,
        manageGrants: createManageGrants({ ...grants, inTransaction }),
        listNamespaces: createListNamespaces({
          ...grants,
          listRepositoryNamespaces: createRepositoryNamespaces(ports.imageManager),
        }),
        now,
      })
      await app.register(groupsRoutes, {
        ...principals,
        manageGroups: createManageGroups({ ...groups, inTransaction }),
      })
      const explainAccess = createExplainAccess({ ...ports, ...createAccountsWithAccessRepository(db), now })
      await app.register(explainRoutes, { ...principals, explainAccess })
    },
  }
}
