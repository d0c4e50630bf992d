%% Answers questions about terms on standard input and output; see beam.rs.
-module(beam).
-export([start/0]).

start() ->
    Port = open_port({fd, 0, 1}, [binary, eof, {packet, 4}]),
    loop(Port, []).

loop(Port, Terms) ->
    receive
        {Port, {data, <<Question, Rest/binary>>}} ->
            {Answer, Terms1} = answer(Question, Rest, Terms),
            port_command(Port, Answer),
            loop(Port, Terms1);
        {Port, eof} ->
            halt()
    end.

answer($r, _, Terms) ->
    {list_to_binary(erlang:system_info(otp_release)), Terms};
answer($c, Bytes, Terms) ->
    {<< <<(compare(A, B))>> || {A, B} <- binary_to_term(Bytes) >>, Terms};
answer($e, Bytes, Terms) ->
    {[framed(echo(B)) || B <- frames(Bytes)], Terms};
answer($g, <<Seed:64, Count:32>>, _) ->
    rand:seed(exsss, Seed),
    Terms = [term(rand:uniform(5) - 1) || _ <- lists:seq(1, Count)],
    {[framed(external(T)) || T <- Terms], Terms};
answer($f, _, Terms) ->
    Here = funs(),
    Self = self(),
    spawn(fun() -> Self ! {funs, funs()} end),
    There = receive {funs, Funs} -> Funs end,
    {[framed(term_to_binary(T)) || T <- Here ++ There], Terms};
answer($s, Bytes, Terms) ->
    Map = maps:from_keys([binary_to_atom(B) || B <- frames(Bytes)], 0),
    {[framed(atom_to_binary(A)) || A <- maps:keys(Map)], Terms};
answer($v, Bytes, Terms) ->
    {lists:zipwith(fun(B, T) -> verify(B, T) end, frames(Bytes), Terms), []}.

compare(A, B) ->
    bit(A < B, 1) bor bit(A == B, 2) bor bit(A =:= B, 4) bor bit(#{A => 0} < #{B => 0}, 8).

bit(true, Bit) -> Bit;
bit(false, _) -> 0.

echo(B) ->
    try binary_to_term(B) of
        T -> term_to_binary(T, [{minor_version, 2}])
    catch
        error:badarg -> <<>>
    end.

verify(B, T) ->
    try binary_to_term(B) =:= T of
        true -> 1;
        false -> 0
    catch
        error:badarg -> 0
    end.

%% Funs that are the same whoever makes them, alone, within each other and within other terms.
funs() ->
    One = fun(X) -> fun(Z) -> {X, Z} end end,
    Two = fun(X, Y) -> fun() -> [X | Y] end end,
    Inner = One(1),
    Funs = [Inner, One(2), One(One(1)), One(One(2)), Two(One(1), Inner), Two(One(1), 3)],
    Funs ++ [{F, 0.0} || F <- Funs] ++ [[F, 1 | F] || F <- Funs] ++ [#{F => F} || F <- Funs] ++
        [{1, {Inner, #{a => [Inner]}}, Inner}, {1, {Inner, #{a => [Inner]}}, One(2)}].

external(T) ->
    case rand:uniform(8) of
        1 -> term_to_binary(T, [compressed]);
        2 -> term_to_binary(T, [{minor_version, 0}]);
        3 -> term_to_binary(T, [{minor_version, 1}]);
        _ -> term_to_binary(T, [{minor_version, 2}])
    end.

framed(B) -> <<(byte_size(B)):32, B/binary>>.

frames(<<Size:32, B:Size/binary, Rest/binary>>) -> [B | frames(Rest)];
frames(<<>>) -> [].

term(0) ->
    case rand:uniform(14) of
        1 -> rand:uniform(600) - 300;
        2 -> integer();
        3 -> integer();
        4 -> rand:normal() * math:pow(10, rand:uniform(600) - 300);
        5 -> element(rand:uniform(4), {0.0, -0.0, 1.0, 9007199254740992.0});
        6 -> element(rand:uniform(6), {'', a, 'ä', 'λ漢', true, list_to_atom(lists:duplicate(255, $ä))});
        7 -> self();
        8 -> make_ref();
        9 -> hd(erlang:ports());
        10 -> binary_to_term(<<131,103,119,3,"a@b",5:32,0:32,3>>);
        11 -> rand:bytes(element(rand:uniform(3), {0, 5, 300}));
        12 -> <<(rand:uniform(9000)):(rand:uniform(40))>>;
        13 -> element(rand:uniform(2), {fun lists:map/2, fun erlang:'+'/2});
        14 -> []
    end;
term(N) ->
    M = rand:uniform(N) - 1,
    case rand:uniform(9) of
        1 -> list_to_tuple(terms(rand:uniform(6) - 1, M));
        2 -> wide(rand:uniform(10), M);
        3 -> terms(rand:uniform(6), M);
        4 -> terms(rand:uniform(4), M) ++ term(0);
        5 -> maps:from_list([{term(M), term(M)} || _ <- lists:seq(1, rand:uniform(5))]);
        6 -> wide(rand:uniform(10), M);
        7 -> [rand:uniform(256) - 1 || _ <- lists:seq(1, rand:uniform(400))];
        8 -> X = term(M), Y = term(0), fun(Z) -> {X, Y, Z} end;
        9 -> [rand:uniform(2) - 1 | [rand:uniform(256) - 1 || _ <- lists:seq(1, 5)] ++ term(M)]
    end.

%% Now and then a tuple with a long arity, or a map that a BEAM keeps as a tree.
wide(1, _) -> list_to_tuple(terms(300, 0));
wide(N, _) when N < 4 -> maps:from_list([{term(0), term(0)} || _ <- lists:seq(1, 60)]);
wide(_, M) -> [term(M)].

terms(Count, N) -> [term(N) || _ <- lists:seq(1, Count)].

integer() ->
    Near = (1 bsl element(rand:uniform(9), {8, 31, 53, 59, 60, 63, 64, 1000, 2050})),
    (Near + rand:uniform(5) - 3) * (rand:uniform(2) * 2 - 3).
