"""Messages of MessagePack, whose lengths are not believed."""
