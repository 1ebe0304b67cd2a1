import { describe, expect, it } from 'vitest';
import { scrubGraphql, scrubQueryText } from './scrub-query-text.ts';

describe('a statement loses its literals and nothing else', () => {
  it.each([
    ["SELECT a, b FROM t WHERE c = 'x' AND d = 7", 'SELECT a, b FROM t WHERE c = ? AND d = ?', 'SELECT', 't'],
    ["select * from users where name = 'O''Brien'", 'select * from users where name = ?', 'SELECT', 'users'],
    ["SELECT 'a\\'b' FROM t", 'SELECT ? FROM t', 'SELECT', 't'],
    ['SELECT * FROM t WHERE id = $1 AND x = :name', 'SELECT * FROM t WHERE id = $1 AND x = :name', 'SELECT', 't'],
    ['SELECT * FROM t WHERE id IN (1, 2, 3)', 'SELECT * FROM t WHERE id IN (?)', 'SELECT', 't'],
    ["INSERT INTO t (a, b) VALUES ('x', 2), ('y', 3)", 'INSERT INTO t (a, b) VALUES (?), (?)', 'INSERT', 't'],
    [
      'UPDATE "public"."Users" SET "a" = 1 WHERE "b" = 2',
      'UPDATE "public"."Users" SET "a" = ? WHERE "b" = ?',
      'UPDATE',
      'public.Users',
    ],
    [
      'SELECT "u"."id" FROM "users" "u" WHERE "u"."mail" = $1',
      'SELECT "u"."id" FROM "users" "u" WHERE "u"."mail" = $1',
      'SELECT',
      'users',
    ],
    ['SELECT * FROM users WHERE name = "secret"', 'SELECT * FROM users WHERE name = ?', 'SELECT', 'users'],
    ['INSERT INTO users (name) VALUES ("secret")', 'INSERT INTO users (name) VALUES (?)', 'INSERT', 'users'],
    [
      'INSERT INTO "users" ("id", "name") VALUES ($1, $2)',
      'INSERT INTO "users" ("id", "name") VALUES ($1, $2)',
      'INSERT',
      'users',
    ],
    [
      'DELETE FROM `shop`.`orders` WHERE `id` = 0xFF',
      'DELETE FROM `shop`.`orders` WHERE `id` = ?',
      'DELETE',
      'shop.orders',
    ],
    ['WITH x AS (SELECT 1 FROM a) SELECT * FROM x', 'WITH x AS (SELECT ? FROM a) SELECT * FROM x', 'SELECT', 'a'],
    ['SELECT /* user=jane */ a FROM t -- pin 1234', 'SELECT a FROM t', 'SELECT', 't'],
    ["/* traceparent='00-ab' */ SELECT a FROM t", 'SELECT a FROM t', 'SELECT', 't'],
    ['SELECT $$secret$$ FROM t', 'SELECT ? FROM t', 'SELECT', 't'],
    ['SELECT $q$it is$q$ FROM t', 'SELECT ? FROM t', 'SELECT', 't'],
    ["SELECT E'x', N'y', X'ab' FROM t", 'SELECT ? FROM t', 'SELECT', 't'],
    ["SELECT a FROM t WHERE b = 'never closed", 'SELECT a FROM t WHERE b = ?', 'SELECT', 't'],
    ['SELECT -1.5e-10, t1.c2 FROM t1', 'SELECT -?, t1.c2 FROM t1', 'SELECT', 't1'],
    ["CALL pay('jane', 10)", 'CALL pay(?)', 'CALL', ''],
    ['BEGIN', 'BEGIN', 'BEGIN', ''],
    ['GET session:jane', 'GET ?', 'GET', ''],
    ['HMSET user:7 name jane', 'HMSET ?', 'HMSET', ''],
    ['AUTH hunter2', 'AUTH ?', 'AUTH', ''],
    [
      '{"find":"users","filter":{"mail":"a@b.cd","age":{"$gt":30}}}',
      '{"find":"users","filter":{"mail":?,"age":{"$gt":?}}}'.replace('"users"', '?'),
      'find',
      'users',
    ],
    ['db.users.find({ mail: "a@b.cd" })', 'db.users.find({ mail: ? })', 'find', 'users'],
  ])('%s', (sent, text, operation, collection) => {
    expect(scrubQueryText(sent)).toMatchObject({ text, operation, collection });
  });
});

it('a GraphQL document keeps its shape and variables', () => {
  const text =
    'query Q($id: ID!) { user(id: $id, mail: "a@b.cd", first: 10, ids: [1, 2]) { name note(text: """long\ntext""") } } # jane';
  expect(scrubGraphql(text).text.trim()).toBe(
    'query Q($id: ID!) { user(id: $id, mail: ?, first: ?, ids: [?, ?]) { name note(text: ?) } }',
  );
});
