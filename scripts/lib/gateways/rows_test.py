"""Answers of gateways that must be found."""

import unittest
from types import SimpleNamespace

import rows

SIGNED = {"method": "GET", "target": "/orders", "headers": {}, "body": b""}
IDENTITY = {"HTTP_X_CONSUMER_USERNAME": "Partner", "HTTP_X_AUTHENTICATED_USERID": "alice"}


class Gateway:
    """A gateway that gives the same answer to every request."""

    example = SimpleNamespace(name="gateway", realm="orders")

    def __init__(self, status, seen=None, challenge='OAuth realm="orders"'):
        self._answer = status, {"WWW-Authenticate": challenge}, "", seen

    def sign(self, *_arguments):
        return dict(SIGNED)

    def send(self, _request):
        return self._answer

    def freeze(self):
        pass

    stop_countersign = freeze


class Answers(unittest.TestCase):
    def test_a_request_that_must_not_pass(self):
        for row in (rows.tampered, rows.frozen, rows.stopped, rows.unsigned):
            with self.subTest(row.__name__), self.assertRaises(rows.Unexpected):
                row(Gateway(200, IDENTITY))

    def test_a_request_that_must_pass(self):
        with self.assertRaises(rows.Unexpected):
            rows.signed_get(Gateway(401))

    def test_a_denied_request_that_reached_the_upstream(self):
        with self.assertRaises(rows.Unexpected):
            rows.tampered(Gateway(401, IDENTITY))

    def test_a_forged_identity_and_credentials_at_the_upstream(self):
        for wrong in ({"HTTP_X_CONSUMER_USERNAME": "mallory"}, {"HTTP_AUTHORIZATION": "OAuth …"}):
            with self.subTest(wrong), self.assertRaises(rows.Unexpected):
                rows.forged(Gateway(200, {**IDENTITY, **wrong}))

    def test_settings_that_did_not_arrive(self):
        with self.assertRaises(rows.Unexpected):
            rows.unsigned(Gateway(401, challenge='OAuth realm="api"'))

    def test_expected_answers(self):
        self.assertEqual(rows.signed_get(Gateway(200, IDENTITY)), "200")
        self.assertEqual(rows.stopped(Gateway(503)), "503")
        self.assertEqual(rows.unsigned(Gateway(401)), "401")


if __name__ == "__main__":
    unittest.main()
