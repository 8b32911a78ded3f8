export class AddRoles1600000000000 {
  async up(query) { await query('ALTER TABLE graphql.user ADD role text') }
  async down(query) { await query('ALTER TABLE graphql.user DROP role') }
}
