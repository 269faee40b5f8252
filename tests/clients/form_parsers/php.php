<?php
// Whether PHP reads a form from a body into $_POST, by its Content-Type. Without arguments it reads and
// writes as python.py does, and serves itself; as a page it answers with the parameter.

if (PHP_SAPI === 'cli-server') {
    echo $_POST['a'] ?? '';
    return;
}

const BODY = 'a=read';
$probe = stream_socket_server('tcp://127.0.0.1:0');
$address = stream_socket_get_name($probe, false);
fclose($probe);
$server = proc_open([PHP_BINARY, '-S', $address, __FILE__], [['file', '/dev/null', 'r'], ['file', '/dev/null', 'w'], ['file', '/dev/null', 'w']], $pipes);
register_shutdown_function(fn() => proc_terminate($server));

function reads($address, $type): bool {
    for ($attempt = 0; $attempt < 100; $attempt++) {
        $socket = @stream_socket_client("tcp://$address");
        if ($socket !== false) break;
        usleep(50000);
    }
    $head = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " . strlen(BODY) . "\r\n";
    if ($type !== null) $head .= 'Content-Type: ' . latin1($type) . "\r\n";
    fwrite($socket, "$head\r\n" . BODY);
    $response = stream_get_contents($socket);
    return str_contains(explode("\r\n\r\n", $response, 2)[1] ?? '', 'read');
}

function latin1(string $text): string {
    return preg_replace_callback('/[\xc2\xc3][\x80-\xbf]/', fn($c) => chr((ord($c[0][0]) & 3) << 6 | ord($c[0][1]) & 63), $text);
}

reads($address, 'application/x-www-form-urlencoded') or throw new Exception('PHP reads no form at all');
$cases = array_map(fn($line) => json_decode($line), file('php://stdin', FILE_IGNORE_NEW_LINES));
echo json_encode(['PHP' => ['version' => PHP_VERSION, 'reads' => array_map(fn($type) => reads($address, $type), $cases)]]);
