defmodule Magnesia.Telemetry.Switch do
  @moduledoc """
  Whether anybody listens to an event that is too frequent to be made for nobody.

  Every transaction asks. A look into a persistent term costs some 15 ns, a few per cent of a
  small transaction; a call of a function that is a constant costs under 2. So turning the switch
  replaces this module by one that has the answer in its code. As it stands here it answers until
  it is turned first. Only `Magnesia.Telemetry.Handlers` turns it, as two must not at once.
  """

  @spec on?() :: boolean()
  @doc "Tells whether somebody listens."
  def on?, do: :persistent_term.get(__MODULE__, false)
end
