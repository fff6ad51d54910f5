import { Type } from 'typebox'

/*
 * The parts of Harbor's responses that the import needs. Source: Harbor, api/v2.0/swagger.yaml: GeneralInfo, UserResp,
 * Project, ProjectMemberEntity, UserGroup, Robot.
 */

const text = Type.String()
const id = Type.Integer()

export const SystemInfo = Type.Object({ auth_mode: Type.Optional(text) })

export const HarborUser = Type.Object({
  user_id: id,
  username: text,
  sysadmin_flag: Type.Optional(Type.Boolean()),
})

export const Project = Type.Object({
  project_id: id,
  name: text,
  metadata: Type.Optional(Type.Object({ public: Type.Optional(text) })),
})

export const ProjectMember = Type.Object({
  entity_name: text,
  entity_id: id,
  /** `u` for a user, `g` for a group. */
  entity_type: text,
  role_id: id,
})

export const UserGroup = Type.Object({
  id,
  group_name: text,
  /** 1 LDAP, 2 HTTP, 3 OpenID Connect. */
  group_type: Type.Optional(id),
  ldap_group_dn: Type.Optional(text),
})

export const Robot = Type.Object({
  name: text,
  disable: Type.Optional(Type.Boolean()),
  /** Seconds since the epoch; -1 for never. */
  expires_at: Type.Optional(Type.Integer()),
  permissions: Type.Optional(
    Type.Array(
      Type.Object({
        kind: text,
        namespace: text,
        access: Type.Optional(
          Type.Array(Type.Object({ resource: text, action: text, effect: Type.Optional(text) })),
        ),
      }),
    ),
  ),
})
