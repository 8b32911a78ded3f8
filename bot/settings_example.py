"""A settings file to start from; a test loads it, so it cannot go stale."""

from __future__ import annotations

EXAMPLE = """\
# releasebot's settings. Secrets come from the environment:
#   RELEASEBOT_SLACK__BOT_TOKEN, RELEASEBOT_SLACK__APP_TOKEN (Socket Mode) or RELEASEBOT_SLACK__SIGNING_SECRET (HTTP),
#   RELEASEBOT_REPOSITORY__GITHUB_TOKEN, RELEASEBOT_CIRCLECI__TOKEN (without it no running pipelines and no rerun),
#   RELEASEBOT_ENVIRONMENTS__PROD__SITE__JWT_SECRET, and RELEASEBOT_DATABASE__URL where it holds a password.
slack:
  mode: socket                      # or http, where Slack can reach this bot by a public URL
  channel: C0123456789              # the id of #metaspace_dev

database:
  url: sqlite+aiosqlite:////var/lib/releasebot/releasebot.sqlite

repository:
  url: git@github.com:metaspace2020/metaspace.git
  mirror: /var/lib/releasebot/metaspace.git
  github: metaspace2020/metaspace
  ssh_key: /etc/releasebot/secrets/github_key
  known_hosts: /etc/releasebot/known_hosts

circleci:
  project: gh/metaspace2020/metaspace

timezone: Europe/Berlin             # on whose clocks typed times and freezes are meant
default_environment: prod
environments:
  prod:
    title: production
    rehearsal: shown                # or required: no start and no approval before that plan passed a rehearsal
    freezes:                        # no release starts in these; one that runs goes on
      - {days: [fri], begins: "16:00", ends: "00:00", reason: Nobody is there on Saturday}
    control:                        # runs Ansible; never a machine that is released to
      host: control.example.org
      key: /etc/releasebot/secrets/control_key
      known_hosts: /etc/releasebot/known_hosts
    web:
      host: web.example.org
      key: /etc/releasebot/secrets/web_key
      known_hosts: /etc/releasebot/known_hosts
    server:
      checkout: /opt/dev/metaspace
      webapp_index: /opt/www/index.html
    ansible:                        # paths on the control host
      workspace: /var/lib/releasebot/ansible
      binaries: /opt/ansible/bin
      repository: git@github.com:metaspace2020/metaspace.git
      configuration: git@git.example.org:metaspace/ansible-env.git
      configuration_checkout: /var/lib/releasebot/ansible-env
      vault_password_file: /etc/releasebot/vault_pass.txt
      known_hosts: /etc/releasebot/known_hosts
      ssh_key: /etc/releasebot/web_key
    site:
      url: https://metaspace2020.eu/
      graphql: https://metaspace2020.eu/graphql
      contains: METASPACE
      admin_email: releasebot@example.org

authors:                            # reminders of questions that authors have not answered
  remind_at: "10:00"

reminders:                          # of steps that wait for a person, and of releases that stand still
  every: 3600                       # seconds; doubled each time
  quiet_from: "20:00"
  quiet_until: "08:00"

schedule:                           # starts at a time: /release start --at
  remind_before: 900                # seconds before it
  grace: 600                        # seconds in which a missed one still begins; later the bot asks

people:                             # who is not listed may do nothing
  - {slack: U0123456789, name: Ada, roles: [releaser, approver], github: ada}
  - {slack: U0123456790, name: Grace, roles: [admin], github: grace}
groups:                             # Slack's user groups; their members have these roles as well
  - {slack: S0123456789, name: metaspace-devs, roles: [viewer]}
"""
