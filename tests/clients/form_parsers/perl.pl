# Which web frameworks of Perl read a form from a body, by its Content-Type. Reads and writes as
# python.py does; needs CGI.pm, Plack, HTTP::Body (Catalyst) and Mojolicious.

use strict;
use warnings;
use JSON::PP;

my $body = "a=read";
my $form = "application/x-www-form-urlencoded";
my $json = JSON::PP->new->allow_nonref->utf8;

# CGI.pm runs in a process of its own, which reads the body from its standard input.
sub cgi {
    my ($type) = @_;
    local %ENV = (%ENV, REQUEST_METHOD => "POST", CONTENT_LENGTH => length $body, QUERY_STRING => "");
    delete $ENV{CONTENT_TYPE};
    $ENV{CONTENT_TYPE} = $type if defined $type;
    my $read = "require CGI; my \$q = CGI->new; print scalar(\$q->param('a')) // ''";
    open my $out, "-|", "printf %s '$body' | $^X -e \"" . $read =~ s/\$/\\\$/gr . "\"" or die;
    local $/;
    return scalar <$out>;
}

sub plack {
    my ($type) = @_;
    require Plack::Request;
    open my $input, "<", \$body or die;
    my %env = (
        REQUEST_METHOD => "POST", CONTENT_LENGTH => length $body, QUERY_STRING => "",
        "psgi.input" => $input, "psgix.input.buffered" => 1,
    );
    $env{CONTENT_TYPE} = $type if defined $type;
    return Plack::Request->new(\%env)->body_parameters->{a};
}

sub http_body {
    my ($type) = @_;
    require HTTP::Body;
    my $reader = HTTP::Body->new($type // "", length $body);
    $reader->add($body);
    return $reader->param->{a};
}

sub mojolicious {
    my ($type) = @_;
    require Mojo::Message::Request;
    my $request = Mojo::Message::Request->new;
    my $head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " . length($body) . "\r\n";
    $head .= "Content-Type: $type\r\n" if defined $type;
    $request->parse("$head\r\n$body");
    return $request->body_params->param("a");
}

my @parsers = (
    ["CGI.pm", \&cgi, sub { require CGI; CGI->VERSION }],
    ["Plack (Dancer)", \&plack, sub { require Plack; Plack->VERSION }],
    ["HTTP::Body (Catalyst)", \&http_body, sub { require HTTP::Body; HTTP::Body->VERSION }],
    ["Mojolicious", \&mojolicious, sub { require Module::Metadata; Module::Metadata->new_from_module("Mojolicious")->version }],
);

my @cases = map { $json->decode($_) } <STDIN>;
my %found;
for my $parser (@parsers) {
    my ($name, $read, $version) = @$parser;
    my $reads = sub { my $value = eval { $read->($_[0]) } // ""; $value =~ /read/ ? JSON::PP::true : JSON::PP::false };
    $reads->($form) or die "$name reads no form at all: $@";
    $found{$name} = {version => "" . $version->(), reads => [map { $reads->($_) } @cases]};
}
print $json->encode(\%found);
