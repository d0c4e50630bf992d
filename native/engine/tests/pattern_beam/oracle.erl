%% The real ets, asked over a pipe: expressions for `erl -eval`.
%% A frame `hello` answers terms that only a VM can make, and the release; any other frame is the external form
%% of [{Spec, [{Row, Ours}] | refused}], and the answer is text: one paragraph a disagreement.
%% Results go through the external form first: trunc(-576460752303423488.0) is a big integer in
%% the VM where the same number is a small one elsewhere, so that =:= calls them different.
Port = open_port({fd, 0, 1}, [binary, {packet, 4}, eof]),
Same = fun(Theirs, B) ->
           A = binary_to_term(term_to_binary(Theirs)),
           A =:= B andalso
               term_to_binary(A, [deterministic]) =:= term_to_binary(B, [deterministic])
       end,
Compile = fun(Spec) ->
              try {ok, ets:match_spec_compile(Spec)} catch error:badarg -> refused end
          end,
Check = fun({Spec, {rows, Rows}}) ->
                case Compile(Spec) of
                    refused -> io_lib:format("ets refuses ~0tp~n~n", [Spec]);
                    {ok, Compiled} ->
                        [case {ets:match_spec_run([Row], Compiled), Ours} of
                             {[], none} -> [];
                             {[Theirs], {some, Term}} ->
                                 case Same(Theirs, Term) of
                                     true -> [];
                                     false ->
                                         io_lib:format("spec ~0tp~n on ~0tp~n ets ~0tp~nours ~0tp~n~n",
                                                       [Spec, Row, Theirs, Term])
                                 end;
                             {Theirs, _} ->
                                 io_lib:format("spec ~0tp~n on ~0tp~n ets ~0tp~nours ~0tp~n~n",
                                               [Spec, Row, Theirs, Ours])
                         end || {Row, Ours} <- Rows]
                end;
           ({Spec, refused}) ->
                case Compile(Spec) of
                    refused -> [];
                    {ok, _} -> io_lib:format("ets accepts ~0tp~n~n", [Spec])
                end
        end,
Frame = fun(Term) -> Bytes = term_to_binary(Term), [<<(byte_size(Bytes)):32>>, Bytes] end,
Loop = fun Loop() ->
           receive
               {Port, {data, <<"hello">>}} ->
                   Special = [self(), hd(erlang:ports()), make_ref(), fun erlang:abs/1,
                              fun lists:map/2],
                   Release = list_to_integer(erlang:system_info(otp_release)),
                   Port ! {self(), {command, [Frame(T) || T <- Special ++ [Release]]}},
                   Loop();
               {Port, {data, Bytes}} ->
                   Text = [Check(Case) || Case <- binary_to_term(Bytes)],
                   Port ! {self(), {command, unicode:characters_to_binary(Text)}},
                   Loop();
               {Port, eof} -> halt(0)
           end
       end,
Loop().
