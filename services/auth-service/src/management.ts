/** The exports for clients of the management API: its schemas, and the pure rules that the API checks after them. */
export { parseConditions } from './access/conditions.ts'
export { Grant, GrantInput, MAX_GRANTS } from './access/grant-schemas.ts'
export type { SubjectKind } from './access/grant.ts'
export { identityOf } from './access/grant.ts'
export { toMapping, toMappingInput } from './access/group.ts'
export { Group, MAX_MAPPINGS, MAX_MEMBERS, Mapping, Member, groupName } from './access/group-schemas.ts'
export { planTerms } from './access/manage-grants.ts'
export { MAX_TRUST_RULES } from './federation/manage-trust-rules.ts'
export type { TrustRuleInput } from './federation/plan-trust-rule.ts'
export { isSameRule, planTrustRule } from './federation/plan-trust-rule.ts'
export { GivenRule, TrustRuleBody } from './federation/trust-rule-json.ts'
export { REGISTRY_TOKEN_NAME } from './principals/registry-token.ts'
export { toScopes } from './principals/scope.ts'
export { RegistriesBody } from './provider-api/contents-json.ts'
export {
  ChangeRegistryTokenBody,
  RegistryTokenBody,
  RegistryTokensBody,
} from './registry-tokens/registry-token-json.ts'
export { BCRYPT_PATTERN } from './accounts/bcrypt.ts'
export { NewUserInput } from './accounts/user-input.ts'
export { ListedUser } from './accounts/users-schemas.ts'
